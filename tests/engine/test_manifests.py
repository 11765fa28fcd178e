"""Manifests as people have them, on a current pixi: pyproject.toml, packages by path, activation scripts, CUDA."""

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
from dagger import dag

from pipeline.build.download import ARCHIVES, WHEELS
from pipeline.checkout import Checkout as Images
from pipeline.output.formats import Format, SbomFormat
from pipeline.registry.oci_layout import make_artifact
from tests.engine import inside
from tests.engine.conftest import Checkout, answer, apply, copy_module, refused
from tests.engine.inside import ANYBODY
from tests.engine.network import names_reached
from tests.engine.test_outdated import record, settle
from tests.engine.test_same_bytes import number
from tests.sandbox import osv
from tests.sandbox.channel.awkward import SHARE
from tests.sandbox.current_pixi import VERSION

pytestmark = pytest.mark.asyncio
BASE: Final = f"ghcr.io/prefix-dev/pixi:{VERSION}-noble"
SPEC: Final = f'description = "Made for a test"\nbase = "{BASE}"\n'
#: A project of Python's with one module, which says where it is.
PROJECT: Final = """\
[project]
name = "{name}"
version = "1.2"
requires-python = ">=3.11"

[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
"""
#: Code that pixi runs to build a package: it writes into each cache that it finds.
PLANTS: Final = f"""\
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Hook(BuildHookInterface):
    def initialize(self, version, build_data):
        for folder in map(Path, {[ARCHIVES, WHEELS, "/var/cache/pixi"]}):
            if folder.is_dir():
                (folder / "planted").touch()
"""
MODULE: Final = "WHERE = __file__\n"
WORKSPACE: Final = """\
[{table}]
name = "made"
channels = ["conda-forge"]
platforms = ["linux-64"]
conda-pypi-map = false

[{prefix}dependencies]
python = "3.12.*"
"""

#: Files of each image by their paths.
IMAGES: Final[dict[str, dict[str, str]]] = {
    # The manifest is the project's own, and the project is installed from where it is.
    "whole": {
        "image.toml": SPEC + '[probes]\nscripts = ["python"]\nimports = ["whole"]\n',
        "pyproject.toml": PROJECT.format(name="whole")
        + WORKSPACE.format(table="tool.pixi.workspace", prefix="tool.pixi.")
        + '\n[tool.pixi.pypi-dependencies]\nwhole = { path = ".", editable = true }\n',
        "src/whole/__init__.py": MODULE,
    },
    # One package by path is built, one is used from where it is; a script activates, and a table over several lines.
    # A package of conda's has folders and files of all modes.
    "parts": {
        "image.toml": SPEC + '[probes]\nimports = ["built", "used", "packed", "linked"]\n',
        "pixi.toml": WORKSPACE.format(table="workspace", prefix="")
        + 'awkward-modes = "*"\n\n[pypi-dependencies]\nbuilt = { path = "libs/built" }\n'
        'packed = { path = "wheels/packed-1.2-py3-none-any.whl" }\nlinked = "*"\n'
        'used = {\n  path = "./libs/used",\n  editable = true,\n}\n'
        '\n[pypi-options]\nfind-links = [{ path = "links" }]\n'
        '\n[activation]\nscripts = ["scripts/on.sh"]\n'
        '\n[feature.more.target.unix.activation]\nscripts = ["scripts/unix.sh"]\n'
        '\n[environments]\ndefault = ["more"]\n',
        "libs/built/pyproject.toml": PROJECT.format(name="built") + "\n[tool.hatch.build.hooks.custom]\n",
        "libs/built/hatch_build.py": PLANTS,
        "libs/built/src/built/__init__.py": MODULE,
        "libs/used/pyproject.toml": PROJECT.format(name="used"),
        "libs/used/src/used/__init__.py": MODULE,
        "scripts/on.sh": 'echo on its way\nexport ON_START="it\'s on"\n',
        "scripts/unix.sh": 'export ON_UNIX="$CONDA_PREFIX"\n',
    },
    # Two platforms of one kind; pixi takes the first that fits the machine's virtual packages.
    "cuda": {
        "image.toml": SPEC + 'cuda = "12"\n[probes]\nscripts = ["python"]\n',
        "pixi.toml": WORKSPACE.format(table="workspace", prefix="").replace(
            '["linux-64"]', '[{ name = "linux-64-cuda", platform = "linux-64", cuda = "12.0" }, "linux-64"]'
        )
        + '\n[target.linux-64-cuda.dependencies]\nnumpy = "*"\n',
    },
}
PREFIX: Final = "/app/.pixi/envs/default"


def write_wheel(folder: Path, name: str) -> None:
    """A wheel with one module."""
    folder.mkdir(parents=True)
    information = f"{name}-1.2.dist-info"
    files = {
        f"{name}.py": MODULE,
        f"{information}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{information}/RECORD"] = "".join(f"{path},,\n" for path in (*files, f"{information}/RECORD"))
    with zipfile.ZipFile(folder / f"{name}-1.2-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(zipfile.ZipInfo(path), text)


@pytest_asyncio.fixture(scope="module")
async def made(tmp_path_factory: pytest.TempPathFactory, connection: None) -> Checkout:  # noqa: ARG001  # asked for first
    """A checkout with all these images, each locked by its base's own pixi."""
    checkout = Checkout(tmp_path_factory.mktemp("checkout"))
    copy_module(checkout.path)
    settle(checkout, osv.ADDRESS)
    for image, files in IMAGES.items():
        for name, text in files.items():
            checkout.write(f"{image}/{name}", text)
        if image == "parts":
            write_wheel(checkout.path / image / "wheels", "packed")
            write_wheel(checkout.path / image / "links", "linked")
        # As somebody has them whose files nobody else may read.
        for path in (checkout.path / image).rglob("*"):
            path.chmod(0o700 if path.is_dir() else 0o600)
        await lock(checkout, image)
    return checkout


async def lock(checkout: Checkout, image: str, *package: str) -> None:
    """Lock an image, or packages of it, and write what changed."""
    await apply(checkout, "lock", image=image, package=list(package))


async def run(checkout: Checkout, image: str, *command: str) -> str:
    """The output of a command in an image, by a user without an account, without the entrypoint."""
    built = await answer(checkout, "build", image=image)
    return await inside.run(built.with_user(ANYBODY), *command)


async def where(checkout: Checkout, image: str, module: str) -> str:
    """The path of a module, in Python without any variable of the image but Apptainer's own script."""
    script = f'. /.singularity.d/env/91-environment.sh; exec python -c "import {module}; print({module}.WHERE)"'
    return await run(checkout, image, "env", "-i", "sh", "-euc", script)


@pytest.mark.parametrize("image", list(IMAGES))
async def test_it_is_locked_built_and_works(made: Checkout, image: str) -> None:
    """Its probes pass, and one of its packages is locked again."""
    assert "passed" in await answer(made, "smoke_test", image=image)
    await lock(made, image, "python")


async def test_their_locks_are_fresh(made: Checkout) -> None:
    """By pixi's own word, and by what their channels list."""
    with names_reached():
        checked = await answer(made, "locks_fresh")
    assert [line.partition("; ")[0] for line in checked.splitlines()] == [
        *(f"{image:5}  pixi and the channels agree with its lock" for image in sorted(IMAGES)),
        "without tools.lock, tool images are what their tags are now",
    ]


async def test_packages_are_where_they_are_used_from(made: Checkout) -> None:
    """Sources of an editable package are at the same place below /app; those of a built one are not in the image."""
    assert await where(made, "whole", "whole") == "/app/src/whole/__init__.py"
    assert await where(made, "parts", "used") == "/app/libs/used/src/used/__init__.py"
    assert await where(made, "parts", "built") == f"{PREFIX}/lib/python3.12/site-packages/built/__init__.py"
    listed = await run(made, "parts", "sh", "-c", "ls -d /app/libs/* /app/scripts/*; ls -a /app")
    assert listed.split() == [
        "/app/libs/used",
        "/app/scripts/on.sh",
        "/app/scripts/unix.sh",
        *(".", "..", ".jupyter", ".pixi", "entrypoint.sh", "libs", "pixi.lock", "pixi.toml", "scripts"),
    ]


async def test_modes_of_a_package_are_those_of_pixi_opened_to_all(made: Checkout) -> None:
    """A current pixi drops what 0.15 drops, too: a setuid bit, modes of folders, and folders without a file."""
    paths = "closed closed/secret closed/open empty-file ../../bin/awkward-setuid"
    output = await run(made, "parts", "sh", "-euc", f"cd {PREFIX}/{SHARE}; stat --format='%a %s' {paths}; ls")
    modes = ["444 14", "644 14", "644 0", "755 16"]
    assert output.splitlines()[0].startswith("755 ")
    assert output.splitlines()[1:] == [*modes, "closed", "empty-file"]


@pytest.mark.parametrize("start", ["", "env -i "], ids=["exec", "env -i"])
async def test_activation_scripts_are_not_lost(made: Checkout, start: str) -> None:
    """Their variables are there without the entrypoint, and where variables are ignored; their output is ignored."""
    script = '. /.singularity.d/env/91-environment.sh; echo "$ON_START|$ON_UNIX"'
    command = 'echo "$ON_START|$ON_UNIX"' if not start else script
    assert await run(made, "parts", *start.split(), "sh", "-euc", command) == f"it's on|{PREFIX}"


async def test_the_sbom_has_packages_by_path(made: Checkout) -> None:
    """With their versions, in both formats."""
    parts = ["built", "used", "packed", "linked"]
    for image, form, names in (
        ("whole", SbomFormat.CYCLONEDX, ["whole"]),
        ("parts", SbomFormat.CYCLONEDX, parts),
        ("parts", SbomFormat.SPDX, parts),
    ):
        document = json.loads(await (await answer(made, "sbom", image=image, format=form)).contents())
        key, version = ("components", "version") if form is SbomFormat.CYCLONEDX else ("packages", "versionInfo")
        found = {line["name"]: line.get(version) for line in document[key]}
        assert {name: found.get(name) for name in names} == dict.fromkeys(names, "1.2")


async def test_the_platform_is_the_one_that_pixi_takes(made: Checkout, capsys: pytest.CaptureFixture[str]) -> None:
    """With CUDA as image.toml says it; otherwise it says which one it takes instead, or that there is none."""
    assert "numpy" in await run(made, "cuda", "ls", f"{PREFIX}/conda-meta")
    assert "pixi takes" not in capsys.readouterr().out
    spec, manifest = made.read("cuda/image.toml"), made.read("cuda/pixi.toml")
    try:
        made.write("cuda/image.toml", spec.replace('cuda = "12"\n', ""))
        assert "numpy" not in await run(made, "cuda", "ls", f"{PREFIX}/conda-meta")
        made.write("cuda/pixi.toml", manifest.replace(', "linux-64"]', "]"))
        message = await refused(made, "build", image="cuda")
        assert "requires CUDA 12.0, but cuda/image.toml has no key 'cuda'; add cuda = \"12.0\"" in message
    finally:
        made.write("cuda/image.toml", spec)
        made.write("cuda/pixi.toml", manifest)


async def test_a_stale_lock_is_told_by_pixis_own_reason(made: Checkout) -> None:
    """Before anything is downloaded, and with the command that helps."""
    manifest = made.read("parts/pixi.toml")
    try:
        made.write("parts/pixi.toml", manifest.replace('python = "3.12.*"', 'python = "3.12.*"\nscipy = "*"'))
        message = await refused(made, "build", image="parts")
        assert message.startswith("parts/pixi.lock does not match parts/pixi.toml (pixi: ")
        assert "scipy" in message
        assert message.endswith("run 'dagger call lock --image parts' and commit pixi.lock")
    finally:
        made.write("parts/pixi.toml", manifest)


async def test_other_functions_read_them_too(made: Checkout) -> None:
    """lock-diff, and the page."""
    compared = await answer(
        made, "lock_diff", image="whole", from_file=dag.host().file(str(made.path / "whole/pixi.lock"))
    )
    assert "holds the same packages" in compared
    assert ">built" in await (await answer(made, "report", image="parts")).contents()


def with_git(made: Checkout) -> str:
    """The lock of `whole` with one more package, which comes from git."""
    lock = made.read("whole/pixi.lock")
    url = f"git+https://github.com/scikit-hep/vector?rev=main#{'0' * 40}"
    used, entry = f"- pypi: {url}", f"- pypi: {url}\n  name: vector\n  version: '1.0'\n"
    lines = lock.splitlines(keepends=True)
    last = max(number for number, line in enumerate(lines) if line.startswith("      - "))
    return "".join([*lines[: last + 1], f"      {used}\n", *lines[last + 1 :], entry])


async def test_what_is_outdated_is_told_of_them(made: Checkout, tmp_path: Path) -> None:
    """Of packages whose version is locked, also of those from a file or from git; CUDA's platform is asked for."""
    records, lock = tmp_path / "records.json", made.read("whole/pixi.lock")
    known = [("packed", "1.2"), ("linked", "1.2"), ("vector", "1.0")]
    records.write_text(json.dumps([record(f"X-{name}", version, "9", name) for name, version in known]))
    try:
        made.write("whole/pixi.lock", with_git(made))
        with osv.standing_in(records) as address:
            assert address == osv.ADDRESS
            output = await answer(made, "outdated", format=Format.JSON)
    finally:
        made.write("whole/pixi.lock", lock)
    found = json.loads(output)
    of_images = [row for row in found["rows"] if row["image"] != "tools"]
    assert {(row["image"], row["kind"], row["change"].partition(" --image ")[2]) for row in of_images} == {
        ("parts", "vulnerability", "parts --package packed"),
        ("parts", "vulnerability", "parts --package linked"),
        ("whole", "vulnerability", "whole --package vector"),
    }
    assert [note.partition(" of ")[0] for note in found["notes"]] == ["cuda: 1", "parts: 2", "whole: 1"]


@pytest.mark.parametrize("image", ["whole", "parts"])
async def test_packages_by_path_are_the_same_bytes(made: Checkout, image: str) -> None:
    """Built and installed again by an engine that has no answer from before."""
    digests = set()
    for seconds in (3600, number()):
        images = await Images.open(dag.host().directory(str(made.path)))
        settings = images.settings.model_copy(update={"install_timeout": seconds})
        built = await replace(images, settings=settings).image(image).build()
        digests.add((await make_artifact(settings, [built], None)).digest)
    assert len(digests) == 1


async def test_code_of_a_package_writes_to_no_cache(made: Checkout) -> None:
    """A file that a package's build writes reaches no other build: neither among archives nor among wheels."""
    await answer(made, "build", image="parts")
    container = dag.container().from_(BASE).with_env_variable("NOW", str(number()))
    for path, volume in {ARCHIVES: "conda-archives-linux-64", WHEELS: "pypi-wheels-linux-64"}.items():
        container = container.with_mounted_cache(path, dag.cache_volume(volume))
    found = (await inside.run(container, "find", ARCHIVES, WHEELS, "-maxdepth", "1")).splitlines()
    assert [path for path in found if path.endswith("planted")] == []
    # The volumes are those of the builds.
    assert [path for path in found if path.endswith(".conda")]


async def test_a_package_from_git_needs_git(made: Checkout) -> None:
    """Base and package are named, before pixi is asked."""
    lock, manifest = made.read("whole/pixi.lock"), made.read("whole/pyproject.toml")
    try:
        made.write("whole/pixi.lock", with_git(made))
        for message in (
            await refused(made, "build", image="whole"),
            await refused(made, "lock", image="whole", check=True),
        ):
            assert message == (
                f"whole: package 'vector' of whole/pixi.lock comes from git, and the base image {BASE} has no program "
                "git; choose a base that has it as 'base' in whole/image.toml"
            )
        made.write("whole/pixi.lock", lock)
        made.write("whole/pyproject.toml", f'{manifest}vector = {{ git = "https://github.com/scikit-hep/vector" }}\n')
        for packages in ([], ["vector"]):
            message = await refused(made, "lock", image="whole", package=packages)
            assert message.startswith("whole: pixi cannot lock what whole/pyproject.toml asks for: ")
            assert message.endswith(
                "'git' is missing: choose a 'base' in whole/image.toml that has it, or ask for it in "
                "whole/pyproject.toml"
            )
    finally:
        made.write("whole/pixi.lock", lock)
        made.write("whole/pyproject.toml", manifest)
