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
    is_accident,
    read_facts,
)
from pipeline.locks.cuda import check_base
from pipeline.locks.image_lock import LockFiles, check_lock
from tests.unit.conftest import CheckoutFolder
from tests.unit.refusals import refused, require_facts

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


def test_what_the_script_tells_is_read() -> None:
    """Each line says what it is about, and what else is printed is nothing."""
    facts = read_facts(
        "closed\t600 root root /a b\nclosed\t700 root UNKNOWN /c\nkey\t/k\nsecret\t/root/.netrc\n"
        f"active\t/x.sh {PREFIX} {PREFIX}/bin:/usr/bin\nactive\t/y.sh\nsize\t2\nnoise\n"
    )
    assert facts.paths["closed"] == {"/a b", "/c"}
    assert facts.paths["key"] == {"/k"}
    assert facts.paths["secret"] == {"/root/.netrc"}
    assert facts.paths["open"] == frozenset()
    assert facts.active == {"/x.sh": (PREFIX, f"{PREFIX}/bin:/usr/bin"), "/y.sh": ("", "")}
    assert facts.size == 2048


@pytest.mark.parametrize("kind", sorted(UNWANTED))
def test_what_an_image_must_not_have_is_found(kind: str) -> None:
    """Each kind is reported with the paths and the remedy; what the base has already is not the image's."""
    facts = Facts({kind: frozenset({"/b", "/a", "/of/base"})})
    (finding,) = find_unwanted("small", spec(), "description = 'x'", facts, Facts({kind: frozenset({"/of/base"})}))
    problem, remedy = UNWANTED[kind]
    assert finding == f"small/image.toml: image small has 2 paths that {problem} (/a; /b); {remedy}"


def test_each_private_key_is_named() -> None:
    """However many there are: each has to be removed."""
    paths = {f"/etc/ssh/ssh_host_{kind}_key" for kind in ("dsa", "ecdsa", "ed25519", "rsa")}
    (finding,) = find_unwanted("small", spec(dockerfile="D"), "", Facts({"key": frozenset(paths)}), Facts())
    require_facts(finding, "small/D", "4 paths", *paths)


@pytest.mark.parametrize(
    ("path", "mode", "user", "group", "accident"),
    [
        ("/usr/local/bin/tini", 0o600, "root", "root", True),
        ("/opt/from-an-archive", 0o700, "UNKNOWN", "UNKNOWN", True),
        ("/etc", 0o700, "root", "root", True),
        ("/opt/licence", 0o640, "root", "licensed", False),
        ("/opt/service/state", 0o600, "service", "service", False),
        ("/usr/bin/sudo", 0o4711, "root", "root", False),
        ("/usr/bin/ssh-agent", 0o2711, "root", "root", False),
        ("/etc/munge/munge.key", 0o400, "root", "root", False),
        ("/var/lib/service", 0o700, "root", "root", False),
    ],
)
def test_what_is_private_on_purpose_is_no_accident(  # a row of the table
    path: str, mode: int, user: str, group: str, *, accident: bool
) -> None:
    """Configuration and state, what an account of the image owns, and programs that run as their owner."""
    assert is_accident(path, mode, user, group) == accident


def test_nothing_unwanted_is_nothing_found() -> None:
    """An image that is as it should be has no findings."""
    assert find_unwanted("small", spec(), "", read_facts("size\t1\n"), Facts()) == []


def test_a_file_of_image_toml_is_found_there() -> None:
    """The finding about a path that image.toml added has its line."""
    with_file = spec(files=[{"source": "a", "path": "/usr/local/bin/a"}])
    facts = Facts({"closed": frozenset({"/usr/local/bin/a"})})
    (finding,) = find_unwanted("small", with_file, TEXT, facts, Facts())
    require_facts(finding, "small/image.toml:3", "1 path", UNWANTED["closed"][0], "/usr/local/bin/a")


def test_a_dockerfile_is_what_to_change_of_its_image() -> None:
    """The finding names the Dockerfile, not image.toml."""
    facts = Facts({"cache": frozenset({"/root/.cache/x"})})
    (finding,) = find_unwanted("small", spec(dockerfile="Dockerfile"), "", facts, Facts())
    require_facts(finding, "small/Dockerfile", "1 path", UNWANTED["cache"][0], "/root/.cache/x")


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
        ({}, (PREFIX, f"{PREFIX}/bin"), "entrypoint"),
        ({"CONDA_PREFIX": PREFIX, "PATH": "/usr/bin"}, (PREFIX, f"{PREFIX}/bin"), "entrypoint"),
        ({"CONDA_PREFIX": PREFIX, "PATH": f"{PREFIX}/bin"}, ("", "/bin"), "/x.sh"),
        ({"CONDA_PREFIX": PREFIX, "PATH": f"{PREFIX}/bin"}, (PREFIX, "/bin"), "/x.sh"),
    ],
)
def test_an_inactive_environment_is_found(variables: dict[str, str], active: tuple[str, str], way: str) -> None:
    """Each way of starting a command that lacks the environment is in a finding of its own."""
    (finding,) = find_inactive("small", Facts(active={"/x.sh": active}), PREFIX, variables)
    require_facts(finding, "small/image.toml", f"{PREFIX} is not active", way)


def test_labels_have_to_be_there_and_right() -> None:
    """Missing labels and those of another image are reported by their names."""
    name = "org.opencontainers.image."
    labels = {f"{name}title": "small", f"{name}description": "x", f"{name}created": "2026-01-01T00:00:00Z"}
    wanted = ["title", "description", "created"]
    assert find_missing_labels("small", spec(), wanted, labels) == []
    (missing,) = find_missing_labels("small", spec(), [*wanted, "revision"], labels)
    assert missing == f"small/image.toml: labels of image small: {name}revision is missing; correct them"
    (wrong,) = find_missing_labels("small", spec(dockerfile="D"), wanted, labels | {f"{name}title": "base"})
    assert wrong == f"small/D: labels of image small: {name}title is 'base'; correct them"


def test_an_exceeded_budget_is_found_with_its_line() -> None:
    """The finding has size, budget and the line to change."""
    (finding,) = find_excess("small", spec(size_budget="1 GB"), TEXT, 1_200_000_000)
    require_facts(finding, "small/image.toml:2", "image small", "1.2 GB", "1.0 GB of 'size_budget'")
    assert find_excess("small", spec(size_budget="1 GB"), TEXT, 1_000_000_001)


def test_an_unknown_size_is_no_small_one() -> None:
    """An image without a program that counts cannot be compared with its budget, and has no size where it has none."""
    facts = read_facts("size\t\n")
    assert facts.size == 0
    (finding,) = find_excess("small", spec(size_budget="1 GB"), TEXT, facts.size)
    require_facts(finding, "small/image.toml:2", "image small", "unknown", "'du -skx'", "BusyBox", "'size_budget'")
    assert find_excess("small", spec(), TEXT, facts.size) == []


@pytest.mark.parametrize("budget", ["1 GB", None])
def test_a_budget_that_is_kept_is_no_finding(budget: str | None) -> None:
    """An image may be as large as its budget, and of any size where it has none."""
    assert find_excess("small", spec(size_budget=budget), TEXT, 1_000_000_000) == []


def test_an_invalid_key_is_located(checkout: CheckoutFolder) -> None:
    """The message has the line of the key."""
    checkout.write("small/image.toml", "description = 'x'\n\n[probes]\nscripts = ['python']\ntimeout = 0\n")
    at = {"small/image.toml": "probes.timeout"}
    with refused(Code.KEY_INVALID, "'probes.timeout'", at=at, kind=SpecError) as raised:
        load_spec(checkout.path, "small")
    require_facts(located(raised.value, checkout.path), "small/image.toml:5")


def test_a_missing_key_is_located_by_its_table(checkout: CheckoutFolder) -> None:
    """A key that is missing has no line; the table that needs it has."""
    checkout.write("small/image.toml", "description = 'x'\n[[files]]\npath = '/a'\n[[probes.commands]]\nname = 'x'\n")
    with refused(Code.KEY_INVALID, "'files.0'", at={"small/image.toml": "files.0"}, kind=SpecError) as raised:
        load_spec(checkout.path, "small")
    require_facts(located(raised.value, checkout.path), "small/image.toml:2")


def test_a_missing_file_is_located_by_its_key(checkout: CheckoutFolder) -> None:
    """For a file that is not there, or is elsewhere by a symlink, the message has the line that names it."""
    at = {"small/image.toml": "files.0.source"}
    checkout.write("small/image.toml", "description = 'x'\n[[files]]\npath = '/a'\nsource = 'a'\n")
    with refused(Code.FILE_MISSING, "no file small/a", at=at, kind=SpecError) as raised:
        load_spec(checkout.path, "small")
    require_facts(located(raised.value, checkout.path), "small/image.toml:4")
    (checkout.image / "a").symlink_to("/etc/passwd")
    with refused(Code.FILE_MISSING, "small/a", "symlink", at=at, kind=SpecError) as raised:
        load_spec(checkout.path, "small")
    require_facts(located(raised.value, checkout.path), "small/image.toml:4")


def test_an_invalid_setting_is_located(checkout: CheckoutFolder) -> None:
    """The message has the line in pyproject.toml, and the table."""
    checkout.write("pyproject.toml", "[project]\nname = 'x'\n[tool.pipeline]\nbas = 'x'\n")
    at = {"pyproject.toml": "tool.pipeline.bas"}
    with refused(Code.KEY_INVALID, "'bas'", at=at, kind=SpecError) as raised:
        load_settings(checkout.path)
    require_facts(located(raised.value, checkout.path), "pyproject.toml:4 [tool.pipeline]")


def test_a_platform_that_the_manifest_lacks_is_located(checkout: CheckoutFolder) -> None:
    """The message has the line of the list that it is missing from."""
    checkout.write("small/pixi.toml", '[project]\nchannels = []\nplatforms = ["osx-64"]\n')
    facts = ["'platforms'", "environment 'default'", "linux-64"]
    with refused(Code.MANIFEST_PLATFORM, *facts, at={"small/pixi.toml": "project.platforms"}) as raised:
        check_lock(LockFiles(checkout.image), load_spec(checkout.path, "small"))
    require_facts(located(raised.value, checkout.path), "small/pixi.toml:3")


def test_cuda_versions_that_disagree_are_located(checkout: CheckoutFolder) -> None:
    """The message has both files with the line of the version."""
    at = {"small/pixi.toml": "system-requirements.cuda"}
    checkout.write("small/image.toml", "description = 'x'\ncuda = '12.0'\n")
    checkout.write(
        "small/pixi.toml", "[workspace]\nchannels = []\n[system-requirements]\ncuda = '12.8'\n[dependencies]\n"
    )
    both = {**at, "small/image.toml": "cuda"}
    with refused(Code.CUDA_MISMATCH, "'cuda' is 12.0", "CUDA 12.8", at=both, kind=LockError) as raised:
        check_lock(LockFiles(checkout.image), load_spec(checkout.path, "small"))
    require_facts(located(raised.value, checkout.path), "small/image.toml:2", "small/pixi.toml:4")
    checkout.write("small/image.toml", "description = 'x'\n")
    with refused(Code.CUDA_MISMATCH, "CUDA 12.8", "small/image.toml", "'cuda'", at=at, kind=LockError) as raised:
        check_lock(LockFiles(checkout.image), load_spec(checkout.path, "small"))
    require_facts(located(raised.value, checkout.path), "small/pixi.toml:4")


def test_a_base_of_an_older_cuda_is_located(checkout: CheckoutFolder) -> None:
    """The message has the line of the key that the base image does not satisfy."""
    checkout.write("small/image.toml", "description = 'x'\ncuda = '12.8'\n")
    facts = ["'cuda' is 12.8", "base:1", "CUDA 12.2.0"]
    with refused(Code.CUDA_MISMATCH, *facts, at={"small/image.toml": "cuda"}, kind=LockError) as raised:
        check_base("small", load_spec(checkout.path, "small"), "base:1", "12.2.0")
    require_facts(located(raised.value, checkout.path), "small/image.toml:2")


def test_an_error_without_a_location_is_unchanged(checkout: CheckoutFolder) -> None:
    """Its text is the message with the code."""
    assert located(PipelineError(Code.STEP_FAILED, "small: no"), checkout.path) == "small: no [step-failed]"
