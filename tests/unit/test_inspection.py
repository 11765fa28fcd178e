from pathlib import Path

import pytest

from pipeline.config.image_toml import ImageSpec, load_spec
from pipeline.config.settings import load_settings
from pipeline.config.toml_locations import located
from pipeline.errors import Code, LockError, PipelineError, SpecError
from pipeline.inspection import (
    UNWANTED,
    Facts,
    find_excess,
    find_inactive,
    find_missing_labels,
    find_unwanted,
    read_facts,
)
from pipeline.locks.cuda import check_base
from pipeline.locks.image_lock import LockFiles, check_lock
from tests.unit.conftest import CheckoutFolder

PREFIX = "/app/.pixi/envs/default"
TEXT = """\
description = "x"
size_budget = "1 GB"
[[files]]
source = "a"
path = "/usr/local/bin/a"
"""


def spec(**values: object) -> ImageSpec:
    """An image.toml."""
    return ImageSpec.model_validate({"description": "x", **values})


def error_of(checkout: Path) -> PipelineError:
    """What is wrong with the image of a checkout."""
    with pytest.raises(PipelineError) as raised:
        check_lock(LockFiles(checkout / "small"), load_spec(checkout, "small"))
    return raised.value


def test_what_the_script_tells_is_read() -> None:
    """Each line says what it is about, and what else is printed is nothing."""
    facts = read_facts(
        "closed\t/a b\nclosed\t/c\nsecret\t/root/.netrc\n"
        f"active\t/x.sh {PREFIX} {PREFIX}/bin:/usr/bin\nactive\t/y.sh\nsize\t2\nnoise\n"
    )
    assert facts.paths["closed"] == {"/a b", "/c"}
    assert facts.paths["secret"] == {"/root/.netrc"}
    assert facts.paths["open"] == frozenset()
    assert facts.active == {"/x.sh": (PREFIX, f"{PREFIX}/bin:/usr/bin"), "/y.sh": ("", "")}
    assert facts.size == 2048


@pytest.mark.parametrize("kind", sorted(UNWANTED))
def test_what_an_image_must_not_have_is_found(kind: str) -> None:
    """Each kind is told with the paths and the remedy; what the base has already is not the image's."""
    facts = Facts({kind: frozenset({"/b", "/a", "/of/base"})})
    (finding,) = find_unwanted("small", spec(), "description = 'x'", facts, Facts({kind: frozenset({"/of/base"})}))
    told, remedy = UNWANTED[kind]
    assert finding == f"small/image.toml: image small has 2 paths that {told} (/a; /b); {remedy}"


def test_nothing_unwanted_is_nothing_found() -> None:
    """An image that is as it should be has no findings."""
    assert find_unwanted("small", spec(), "", read_facts("size\t1\n"), Facts()) == []


def test_a_file_of_image_toml_is_found_there() -> None:
    """A path that image.toml put there is told with its line."""
    with_file = spec(files=[{"source": "a", "path": "/usr/local/bin/a"}])
    facts = Facts({"closed": frozenset({"/usr/local/bin/a"})})
    (finding,) = find_unwanted("small", with_file, TEXT, facts, Facts())
    assert finding.startswith("small/image.toml:3: image small has 1 path that not every user can read or enter (/usr")


def test_a_dockerfile_is_what_to_change_of_its_image() -> None:
    """What a Dockerfile made is changed there."""
    facts = Facts({"cache": frozenset({"/root/.cache/x"})})
    (finding,) = find_unwanted("small", spec(dockerfile="Dockerfile"), "", facts, Facts())
    assert finding.startswith("small/Dockerfile: image small has 1 path that only made the build faster")


def test_an_active_environment_is_found_active() -> None:
    """With the variable and the search path in every way of starting a command, nothing is found."""
    path = f"{PREFIX}/bin:/usr/bin"
    variables = {"CONDA_PREFIX": PREFIX, "PATH": path}
    assert find_inactive("small", Facts(active={"/x.sh": (PREFIX, path)}), PREFIX, variables) == []


def test_folders_of_the_environment_may_come_before_its_programs() -> None:
    """An activation script of a package may put one before; nothing else may come first."""
    found = []
    for before in (f"{PREFIX}/share/bin", "/usr/bin", f"{PREFIX}-2/bin", ""):
        path = f"{before}:{PREFIX}/bin:/usr/bin"
        active = Facts(active={"/x.sh": (PREFIX, path)})
        found.append(find_inactive("small", active, PREFIX, {"CONDA_PREFIX": PREFIX, "PATH": path}))
    assert [len(findings) for findings in found] == [0, 2, 2, 2]


@pytest.mark.parametrize(
    ("variables", "active", "way"),
    [
        ({}, (PREFIX, f"{PREFIX}/bin"), "for a command that skips the entrypoint"),
        ({"CONDA_PREFIX": PREFIX, "PATH": "/usr/bin"}, (PREFIX, f"{PREFIX}/bin"), "for a command that skips the entry"),
        ({"CONDA_PREFIX": PREFIX, "PATH": f"{PREFIX}/bin"}, ("", "/bin"), "where variables are ignored too (/x.sh)"),
        (
            {"CONDA_PREFIX": PREFIX, "PATH": f"{PREFIX}/bin"},
            (PREFIX, "/bin"),
            "where variables are ignored too (/x.sh)",
        ),
    ],
)
def test_an_inactive_environment_is_found(variables: dict[str, str], active: tuple[str, str], way: str) -> None:
    """Each way of starting a command that lacks the environment is told."""
    (finding,) = find_inactive("small", Facts(active={"/x.sh": active}), PREFIX, variables)
    assert finding.startswith(f"small/image.toml: the environment {PREFIX} is not active {way}")


def test_labels_have_to_be_there_and_right() -> None:
    """Missing labels and those of another image are told by their names."""
    name = "org.opencontainers.image."
    labels = {f"{name}title": "small", f"{name}description": "x", f"{name}created": "2026-01-01T00:00:00Z"}
    wanted = ["title", "description", "created"]
    assert find_missing_labels("small", spec(), wanted, labels) == []
    (missing,) = find_missing_labels("small", spec(), [*wanted, "revision"], labels)
    assert missing == f"small/image.toml: labels of image small: {name}revision is missing; correct them"
    (wrong,) = find_missing_labels("small", spec(dockerfile="D"), wanted, labels | {f"{name}title": "base"})
    assert wrong == f"small/D: labels of image small: {name}title is 'base'; correct them"


def test_a_budget_that_is_passed_is_told_with_its_line() -> None:
    """Size, budget and the line to change are told."""
    (finding,) = find_excess("small", spec(size_budget="1 GB"), TEXT, 1_000_000_001)
    assert finding.startswith(
        "small/image.toml:2: the files of image small take 1.0 GB, more than the 1.0 GB of 'size_budget'; leave"
    )


@pytest.mark.parametrize("budget", ["1 GB", None])
def test_a_budget_that_is_kept_is_no_finding(budget: str | None) -> None:
    """An image may be as large as its budget, and of any size where it has none."""
    assert find_excess("small", spec(size_budget=budget), TEXT, 1_000_000_000) == []


def test_a_wrong_key_is_told_with_its_line(checkout: CheckoutFolder) -> None:
    """An image.toml that cannot be used is told with the line to change."""
    checkout.write("small/image.toml", "description = 'x'\n\n[probes]\nscripts = ['python']\ntimeout = 0\n")
    with pytest.raises(SpecError) as raised:
        load_spec(checkout.path, "small")
    assert located(raised.value, checkout.path).startswith("small/image.toml:5: key 'probes.timeout': Input should")


def test_a_missing_key_is_told_with_its_table(checkout: CheckoutFolder) -> None:
    """A key that is missing has no line; the table that wants it has."""
    checkout.write("small/image.toml", "description = 'x'\n[[files]]\npath = '/a'\n[[probes.commands]]\nname = 'x'\n")
    with pytest.raises(SpecError) as raised:
        load_spec(checkout.path, "small")
    assert located(raised.value, checkout.path).startswith("small/image.toml:2: key 'files.0'")


def test_a_missing_file_is_told_with_the_line_that_names_it(checkout: CheckoutFolder) -> None:
    """A file that is not there, or is elsewhere by a symlink, is told with the line that names it."""
    checkout.write("small/image.toml", "description = 'x'\n[[files]]\npath = '/a'\nsource = 'a'\n")
    with pytest.raises(SpecError) as raised:
        load_spec(checkout.path, "small")
    assert located(raised.value, checkout.path).startswith("small/image.toml:4: key 'files.0.source': there is no file")
    (checkout.image / "a").symlink_to("/etc/passwd")
    with pytest.raises(SpecError) as raised:
        load_spec(checkout.path, "small")
    assert located(raised.value, checkout.path).startswith("small/image.toml:4: key 'files.0.source': small/a leaves")


def test_a_wrong_setting_is_told_with_its_line(checkout: CheckoutFolder) -> None:
    """The settings of pyproject.toml are told like keys of image.toml."""
    checkout.write("pyproject.toml", "[project]\nname = 'x'\n[tool.pipeline]\nbas = 'x'\n")
    with pytest.raises(SpecError) as raised:
        load_settings(checkout.path)
    assert located(raised.value, checkout.path).startswith("pyproject.toml:4 [tool.pipeline]: unknown key 'bas'")


def test_a_platform_that_the_manifest_lacks_is_told_with_its_line(checkout: CheckoutFolder) -> None:
    """The line of the list that it is missing from."""
    checkout.write("small/pixi.toml", '[project]\nchannels = []\nplatforms = ["osx-64"]\n')
    said = located(error_of(checkout.path), checkout.path)
    assert said.startswith("small/pixi.toml:3: 'platforms' of environment 'default' does not have linux-64")


def test_cuda_versions_that_disagree_are_told_with_their_lines(checkout: CheckoutFolder) -> None:
    """Both files are told with the line that has the version."""
    checkout.write("small/image.toml", "description = 'x'\ncuda = '12.0'\n")
    checkout.write(
        "small/pixi.toml", "[workspace]\nchannels = []\n[system-requirements]\ncuda = '12.8'\n[dependencies]\n"
    )
    said = located(error_of(checkout.path), checkout.path)
    assert said.startswith("small/image.toml:2: key 'cuda' is 12.0, but environment 'default' of small/pixi.toml:4 req")
    checkout.write("small/image.toml", "description = 'x'\n")
    said = located(error_of(checkout.path), checkout.path)
    assert said.startswith("environment 'default' of small/pixi.toml:4 requires CUDA 12.8, but small/image.toml has no")


def test_a_base_of_an_older_cuda_is_told_with_the_line_of_the_key(checkout: CheckoutFolder) -> None:
    """The key that the base does not satisfy is told with its line."""
    checkout.write("small/image.toml", "description = 'x'\ncuda = '12.8'\n")
    with pytest.raises(LockError) as raised:
        check_base("small", load_spec(checkout.path, "small"), "base:1", "12.2.0")
    assert located(raised.value, checkout.path).startswith("small/image.toml:2: key 'cuda' is 12.8, but the base image")


def test_an_error_without_a_place_is_told_as_it_is(checkout: CheckoutFolder) -> None:
    """What no line is to blame for is its sentence."""
    assert located(PipelineError(Code.STEP_FAILED, "small: no"), checkout.path) == "small: no [step-failed]"
