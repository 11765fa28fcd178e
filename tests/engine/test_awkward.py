"""An image of packages as awkward as real ones: whatever pixi has installed is in it, once, and works."""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import dagger
import pytest
import pytest_asyncio
from dagger import dag

from pipeline.build.image import Image
from pipeline.build.tool_container import with_scripts
from pipeline.checkout import Checkout as Images
from pipeline.commands.check import Checker
from pipeline.commands.publish import publish
from pipeline.commands.sbom import make
from pipeline.commands.smoke_test import smoke_test
from pipeline.commands.verify import verify
from pipeline.output.formats import Format, ResultFormat, SbomFormat
from pipeline.registry.oci_layout import make_artifact
from pipeline.smoke.results import require_passed
from tests.engine.conftest import Checkout, copy_module
from tests.engine.inside import ANYBODY, run
from tests.engine.oci import Layout
from tests.engine.publishing import BOTH_KINDS, COMMIT, docker_config, tags_of
from tests.engine.test_same_bytes import listing, number
from tests.sandbox.channel.awkward import LICENSE, NAMES, SHARE, TWO_LINES
from tests.sandbox.channel.interpreter import STDLIB

pytestmark = pytest.mark.asyncio
PREFIX: Final = "/app/.pixi/envs/default"
HERE: Final = f"{PREFIX}/{SHARE}"
SPEC: Final = """\
description = "Packages as awkward as real ones"

[probes]
scripts = ["python"]
imports = ["awkward_noarch", "awkward_twice"]

[[probes.commands]]
command = ["awkward-hello"]
"""
#: The variables that packages and their scripts set.
VARIABLES: Final = {
    "AWKWARD_LINES": TWO_LINES,
    "AWKWARD_DOLLAR": HERE,
    "AWKWARD_LAST": "last",
    "AWKWARD_SCRIPT": HERE,
    "AWKWARD_PRICE": "5 $USD",
    "AWKWARD_SCRIPT_LINES": 'one\nexport two="2"\n\n',
    "CONDA_PREFIX": PREFIX,
}
#: Prints these variables, and what a shell finds by its name, on the last line.
PRINT: Final = f"""
import json, os, shutil
print()
print(json.dumps([{{name: os.environ.get(name) for name in {list(VARIABLES)}}},
                  {{name for name in os.environ if "AWKWARD" in name}} - {set(VARIABLES)} == set(),
                  shutil.which("awkward-tool"), shutil.which("python")]))
"""
#: Ways to start Python, by who would do so; the command is the last argument.
WAYS: Final = {
    "docker run": [],
    "docker exec": ["sh", "-euc", 'exec "$@"', "sh"],
    "apptainer": ["env", "-i", "sh", "-euc", '. /.singularity.d/env/91-environment.sh; exec "$@"', "sh"],
    "sh -l": ["env", "-i", "sh", "-lc", 'exec "$@"', "sh"],
    "bash -l": ["env", "-i", "bash", "-lc", 'exec "$@"', "sh"],
}
#: Print how often each module below Python's folders would be compiled.
COUNT: Final = """
import collections, json, os, sys
from pipeline.scripts.compile import folders, units
modules = [os.path.realpath(module) for top in folders() for unit in units(top) for module in unit]
there = [os.path.join(folder, name) for top in folders() for folder, _, names in os.walk(top) for name in names]
print(json.dumps([collections.Counter(modules).most_common(1)[0][1], len(modules),
                  len([path for path in there if path.endswith(".py") and os.path.isfile(path)]), len(folders())]))
"""


@dataclass(frozen=True)
class Awkward:
    """The image, and what it is built from."""

    folder: Path
    images: Images
    image: Image

    @property
    def container(self) -> dagger.Container:
        """The image to run and to look into."""
        return self.image.container


@pytest_asyncio.fixture(scope="module")
async def awkward(connection: None, tmp_path_factory: pytest.TempPathFactory) -> Awkward:
    """It is built once for these tests."""
    del connection
    folder = tmp_path_factory.mktemp("awkward")
    return await build(folder, 3600)


async def build(folder: Path, seconds: int) -> Awkward:
    """Build it; with other seconds, which say nothing of the image, the engine has no answer from before."""
    copy_module(folder, ["pyproject.toml"])
    checkout = Checkout(folder)
    checkout.set(install_timeout=seconds)
    checkout.write("awkward/image.toml", SPEC)
    checkout.add_environment("awkward", of="awkward")
    images = await Images.open(dag.host().directory(str(folder)))
    return Awkward(folder, images, await images.image("awkward").build())


async def ask(awkward: Awkward, program: str) -> Any:  # noqa: ANN401  # whatever it prints
    """The output of a program in the image's Python, as JSON, by a user without an account."""
    return json.loads(await run(awkward.container.with_user(ANYBODY), "python", "-c", program))


async def test_names_are_kept(awkward: Awkward) -> None:
    """Spaces, letters beyond ASCII, what a shell would take for something else: each file has what it had."""
    found = f"{{path.name: path.read_text() for path in pathlib.Path('{HERE}/names').iterdir()}}"
    assert await ask(awkward, f"import json, pathlib; print(json.dumps({found}))") == {name: name for name in NAMES}


async def test_placeholders_are_replaced(awkward: Awkward) -> None:
    """In text, and in binaries, whose size stays what it was."""
    assert await run(awkward.container.with_user(ANYBODY), "awkward-where") == PREFIX
    data = await ask(awkward, f"import json; print(json.dumps(open('{PREFIX}/lib/awkward.bin', 'rb').read().decode()))")
    assert data.rstrip("\0") == f"\x7f\0{PREFIX}/share{'\0' * 10}after"


async def test_a_package_of_no_platform_has_its_programs(awkward: Awkward) -> None:
    """Entry points, which pixi writes, and scripts, which it moves; and the module is where Python finds it."""
    anybody = awkward.container.with_user(ANYBODY)
    assert await run(anybody, "awkward-hello") == "hello from awkward"
    assert await run(anybody, "awkward-script") == "a script"
    where = await ask(awkward, "import awkward_noarch, json; print(json.dumps(awkward_noarch.__file__))")
    assert where == f"{PREFIX}/{STDLIB}/site-packages/awkward_noarch/__init__.py"


async def test_the_older_format_is_unpacked(awkward: Awkward) -> None:
    """A package of bzip2 is fetched and installed as any other."""
    output = await run(awkward.container, "cat", f"{HERE}/old-format", f"{HERE}/old-again")
    assert output == "packed with bzip2\npacked with bzip2"


async def test_links_lead_where_they_led(awkward: Awkward) -> None:
    """To a folder, out of the environment, nowhere; a hard link has the file's content."""
    paths = [f"{HERE}/{name}" for name in ("alias", "outside", "outside-folder", "other", "alias/file")]
    found = f"[os.readlink(path) if os.path.islink(path) else open(path).read() for path in {paths}]"
    links = await ask(awkward, f"import json, os; print(json.dumps({found}))")
    assert links == ["folder", "/etc/os-release", "../../../../../../usr/share", "one and the same\n", "in a folder\n"]
    gone = f"{PREFIX}/{STDLIB}/site-packages/awkward_gone.py"
    assert await run(awkward.container, "readlink", gone) == "/nowhere/awkward_gone.py"


async def test_modes_are_those_of_pixi_opened_to_all(awkward: Awkward) -> None:
    """pixi 0.15 drops a setuid bit and the modes of folders; all may read the rest, and only its owner may write it."""
    paths = [f"{HERE}/{name}" for name in ("closed", "closed/secret", "closed/open", "empty-file")]
    output = await run(awkward.container, "stat", "--format=%a %U", *paths, f"{PREFIX}/bin/awkward-setuid")
    assert output.splitlines() == ["755 root", "444 root", "644 root", "644 root", "755 root"]
    assert await run(awkward.container, "cat", f"{HERE}/empty-file") == ""


async def test_one_path_of_several_packages_is_as_pixi_decides(awkward: Awkward) -> None:
    """One that depends on another comes after it, and has it; the others' files are kept beside it, by pixi's names."""
    output = await run(awkward.container, "sh", "-c", f"cd {HERE} && cat twice twice__clobber-from-awkward-twice-a")
    assert output == "of b\nof a"
    site = f"{PREFIX}/{STDLIB}/site-packages"
    names = set((await run(awkward.container, "ls", f"{site}/tests")).split())
    others = {name.partition("__init__.py__clobber-from-")[2] for name in names} - {""}
    assert len(others) == 3
    found = await ask(awkward, "import awkward_twice, json, tests; print(json.dumps([awkward_twice.OF, tests.OF]))")
    assert found[0] == "b"
    assert {f"awkward-tests-{which}" for which in "abcd"} == others | {f"awkward-tests-{found[1]}"}
    # What a record says is not by which package came first.
    records = f"[json.load(open(path)) for path in glob.glob('{PREFIX}/conda-meta/awkward-tests-*.json')]"
    origin = "[path.get('original_path') for record in records for path in record['paths_data']['paths']]"
    output = await ask(awkward, f"import glob, json; records = {records}; print(json.dumps({origin}))")
    assert sorted(filter(None, output)) == [f"{STDLIB}/site-packages/tests/__init__.py"] * 3


async def test_a_post_link_script_is_there_and_did_not_run(awkward: Awkward) -> None:
    """Nobody asked for it; the package is whole without what it would make."""
    names = (await run(awkward.container, "ls", "-a", f"{PREFIX}/bin", HERE)).split()
    assert {".awkward-post-link-post-link.sh", "post-link"} <= set(names)
    assert "made-by-post-link" not in names


@pytest.mark.parametrize("way", WAYS)
async def test_packages_set_their_variables(awkward: Awkward, way: str) -> None:
    """However Python is started: values of several lines, with a `$`, and from a script that prints; and the path."""
    command = [*WAYS[way], f"{PREFIX}/bin/python", "-c", PRINT]
    output = await run(awkward.container.with_user(ANYBODY), *command, entrypoint=way == "docker run")
    found = json.loads(output.splitlines()[-1])
    assert found == [VARIABLES, True, f"{HERE}/bin/awkward-tool", f"{PREFIX}/bin/python"]
    assert ("printed by the package" in output) == (way == "docker run")


async def test_no_variable_is_what_a_script_printed(awkward: Awkward) -> None:
    """The image has the variables of its packages, each by its name."""
    names = {await variable.name() for variable in await awkward.container.env_variables()}
    assert {name for name in names if not name.replace("_", "").isalnum() or not name.isupper()} == set()
    assert VARIABLES.keys() <= names


async def test_each_module_is_compiled_once(awkward: Awkward) -> None:
    """Although lib/python3.1 leads to them all again; a link that leads nowhere is none."""
    counting = awkward.container.with_(with_scripts("compile.py"))
    most, compiled, there, folders = json.loads(await run(counting, f"{PREFIX}/bin/python", "-S", "-c", COUNT))
    assert (most, compiled, folders) == (1, there, 1)
    assert there > 500
    assert await run(awkward.container, "readlink", f"{PREFIX}/lib/python3.1") == "python3.12"


async def test_it_passes_its_probes_and_the_checks(awkward: Awkward) -> None:
    """A smoke test ends well, and so does what `dagger check` asks of an image."""
    results = await smoke_test(awkward.images, "awkward", gpu=False)
    assert json.loads(require_passed(results, ResultFormat.JSON))
    assert "readable by all" in await Checker(awkward.images).check_images()
    assert "nothing that an unpacker trips on" in await Checker(awkward.images).check_cvmfs()


async def test_each_file_is_in_one_layer(awkward: Awkward, tmp_path: Path) -> None:
    """And what is pushed has all that was tested."""
    made = await make_artifact(awkward.images.settings, [awkward.image], None)
    layout = await Layout.of(made.layout, tmp_path / "layout")
    below = [
        path
        for layer in range(len(layout.layers()))
        for path, member in layout.members(layer).items()
        if path.startswith("app/.pixi/envs/") and not member.isdir()
    ]
    assert len(below) == len(set(below))
    tar = ["tar", "-cf", "/image.tar", "-C", "/layout", "."]
    container = dag.container().from_(awkward.images.settings.fetch_base)
    packed = container.with_directory("/layout", made.layout)
    pushed = dag.container().import_(packed.with_exec(tar).file("/image.tar"))
    assert await listing(pushed) == await listing(awkward.container)


@pytest.mark.parametrize("form", SbomFormat)
async def test_a_bill_names_all_packages(awkward: Awkward, form: SbomFormat) -> None:
    """In both formats; a licence that SPDX does not know is given in its own words."""
    text = await (await make(awkward.images.image("awkward"), None, form)).contents()
    names = ["awkward-bz2", "awkward-noarch", "awkward-post-link", "awkward-twice-a", "awkward-twice-b"]
    assert [name for name in names if f"pkg:conda/{name}@1.0" not in text] == []
    assert "pkg:pypi/" not in text
    document = json.loads(text)
    own = [line["extractedText"] for line in document.get("hasExtractedLicensingInfos", [])]
    own += [
        choice["license"]["name"]
        for component in document.get("components", [])
        for choice in component.get("licenses", [])
        if "name" in choice.get("license", {})
    ]
    assert LICENSE in own


async def test_it_is_published_and_verified(awkward: Awkward, tmp_path: Path) -> None:
    """Registries of both kinds have it at one digest; installed again, with no answer from before, it has the same."""
    registries = [f"{host}/test-{secrets.token_hex(4)}" for host in BOTH_KINDS]
    config = dag.set_secret(f"docker-{secrets.token_hex(4)}", docker_config().read_text())
    result = await publish(
        awkward.images, "v2026.2.0", image="awkward", registries=registries, commit=COMMIT, builder=None, signing=None,
        auths=[], docker_config=config, dry_run=False, form=Format.JSON,
    )  # fmt: skip
    digest = json.loads(result)["digests"]["awkward"]
    for registry in registries:
        assert set(tags_of(f"{registry}/awkward").values()) == {digest}
    again = await build(tmp_path / "again", number())
    verified = await verify(
        again.images, "awkward", digest, repository=f"{registries[0]}/awkward", signer=None, auths=[],
        docker_config=config,
    )  # fmt: skip
    assert digest in verified
