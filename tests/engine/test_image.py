"""A built image from inside, for each image kind, whoever starts a command in it and however."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
from dagger import dag

from pipeline.git.commit import Commit
from tests.engine.inside import ANYBODY, WRITABLE, lines, run, run_read_only
from tests.engine.kinds import MAKERS, Example, build_for_both
from tests.engine.oci import Archive

pytestmark = pytest.mark.asyncio
COMMIT: Final = Commit(sha="ab" * 20, time=datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC), changed=())
USERS: Final = ("root", ANYBODY)
#: Shell commands to start a program without the entrypoint, by caller; only the first has the variables.
WAYS: Final = {
    "docker exec": "sh -c '{}'",
    "apptainer": "env -i sh -euc '. /.singularity.d/env/91-environment.sh; {}'",
    "sh -l": "env -i sh -lc '{}'",
    "bash -l": "env -i bash -lc '{}'",
}
#: Print in which of the folders of its arguments a file can be made.
TRY_TO_WRITE: Final = 'for folder; do touch "$folder/a" 2> /dev/null && echo "$folder"; done'


@pytest_asyncio.fixture(scope="module", params=MAKERS)
async def example(
    request: pytest.FixtureRequest, connection: None, tmp_path_factory: pytest.TempPathFactory
) -> Example:
    """An image of each kind."""
    del connection
    return await MAKERS[request.param](tmp_path_factory.mktemp("checkout"), COMMIT)


@pytest.mark.parametrize("user", USERS)
async def test_its_programs_are_found(example: Example, user: str) -> None:
    """A program is started by its name, with the entrypoint and without, by root and by a user nobody knows.

    Where ENTRYPOINT and ENV are ignored, the scripts for Apptainer and for login shells set all variables.
    """
    container = example.container.with_user(user)
    assert await run(container, *example.command, entrypoint=True) == example.output
    name, value = example.variable
    command = " ".join(f'"{word}"' for word in example.command)
    output = await run(
        container, "sh", "-c", "\n".join(way.format(f"{command}; echo ${name}") for way in WAYS.values())
    )
    assert output.splitlines() == [example.output, value] * len(WAYS)


@pytest.mark.parametrize("user", USERS)
async def test_nothing_has_to_be_writable(example: Example, user: str) -> None:
    """With a read-only root and no home, programs start, and the folders that people write to can be mounted."""
    command = " ".join(f'"{word}"' for word in example.command)
    script = ["sh", "-c", f"{command}; {TRY_TO_WRITE}", "sh", "/app", "/usr/local/bin", *WRITABLE]
    output = await run_read_only(example.container, user, *script)
    assert output.splitlines() == [example.output, *WRITABLE]


async def test_everybody_writes_where_people_write(example: Example) -> None:
    """Without mounts too, a user that nobody knows writes to the folders for that, and to no other."""
    script = f'{TRY_TO_WRITE}; find / -xdev -type d -writable 2> /dev/null | grep -v "^/proc\\|^/dev"'
    anybody = example.container.with_user(ANYBODY)
    writable = (await run(anybody, "sh", "-c", script, "sh", "/app", "/usr/local/bin", *WRITABLE)).split()
    assert writable[: len(WRITABLE)] == list(WRITABLE)
    found = set(writable[len(WRITABLE) :])
    assert found - {*WRITABLE, "/run/lock", "/var/tmp", "/opt/greeter/open"} == set()  # noqa: S108


async def test_everybody_reads_everything(example: Example) -> None:
    """Every file is readable and every folder enterable, by all, but for what base and author keep to themselves."""
    script = "find / -xdev ! -type l \\( ! -perm -444 -o -type d ! -perm -111 \\) -print"
    assert await lines(example.container, script) - await lines(example.base, script) == {*example.private}
    modes = await lines(example.container, f"stat --format='%n %a' / {' '.join(example.private)}")
    assert modes == {"/ 755", *(f"{path} {mode}" for path, mode in example.private.items())}
    anybody = 'find "$@" -xdev ! -type l \\( ! -readable -o -type d ! -executable \\)'
    assert await run(example.container.with_user(ANYBODY), "sh", "-euc", anybody, "sh", *example.own) == ""


async def test_nobody_changes_what_others_run(example: Example) -> None:
    """No file can be written by everybody, and folders that can keep what is another's."""
    script = "find / -xdev \\( -type f -perm -002 -o -type d -perm -002 ! -perm -1000 \\)"
    assert await run(example.container.with_user("root"), "sh", "-c", script) == ""


async def test_nothing_else_is_left(example: Example) -> None:
    """An image has its base's files, its own, and what every image gets: no cache, no tool, no secret of the build."""
    script = "find / -xdev -path /tmp -prune -o -print | sort"
    base, found = await lines(example.base, script), await lines(example.container, script)
    added = {path for path in found - base if not path.startswith(example.own)}
    assert added == {
        "/.singularity.d", "/.singularity.d/env", "/.singularity.d/env/91-environment.sh",
        "/.singularity.d/env/92-host.sh", "/.singularity.d/env/99-base.sh", "/cvmfs",
        "/etc/ld.so.conf.d/000-host-libs.conf", "/etc/profile.d/91-environment.sh", "/host-libs",
        "/workspace", *example.files, *example.private,
    }  # fmt: skip
    assert base - found == set()
    caches = (".deb", ".conda", ".tar.bz2", "/pkgs", "/.cache")
    assert [path for path in found if path.endswith(caches)] == []


async def test_no_variable_of_the_build_is_left(example: Example) -> None:
    """The image has variables of its base, its software and its image.toml, and none of the engine or the build."""
    names = {await variable.name() for variable in await example.container.env_variables()}
    assert {"PATH", "PYTHONNOUSERSITE", example.variable[0]} <= names
    assert not {
        name for name in names if name.startswith(("OTEL", "TRACE", "DAGGER", "RATTLER", "PIXI_CACHE", "CONDA_OVER"))
    }


async def test_files_and_variables_of_image_toml_are_there(example: Example) -> None:
    """The files and variables of image.toml are copied, fetched and set, with the modes that it gives."""
    variables = (
        example.variable[0],
        "PYTHONNOUSERSITE",
        "JUPYTER_CONFIG_DIR",
        "JUPYTER_DATA_DIR",
        "JUPYTER_RUNTIME_DIR",
    )
    script = (
        'printenv "$@"; for file in '
        + " ".join(example.files)
        + '; do stat --format="%a %U" $file; sha256sum $file; done'
    )
    output = (await run(example.container, "sh", "-euc", script, "sh", *variables)).splitlines()
    folders = [f"/app/.jupyter/{name}" for name in ("config", "data", "runtime")]
    assert output[: len(variables)] == [example.variable[1], "1", *folders]
    assert output[len(variables) :] == [
        line for path, (mode, sha256) in example.files.items() for line in (f"{mode} root", f"{sha256}  {path}")
    ]


async def test_host_libraries_are_searched(example: Example) -> None:
    """The loader finds a library that a site mounts at /host-libs, before those of the image."""
    found = "ldconfig -p | sed -n 's/.*libzstd.so.1 .*=> //p'"
    script = f"cp -L $({found}) /host-libs/libzstd.so.1; ldconfig; {found}"
    output = await run(example.container.with_user("root"), "sh", "-euc", script)
    assert output.splitlines()[0] == "/host-libs/libzstd.so.1"


async def test_it_says_what_it_is(example: Example, tmp_path: Path) -> None:
    """Labels and annotations have the names that OCI gives them; the date is the commit's."""
    expected = {
        "org.opencontainers.image.title": example.title,
        "org.opencontainers.image.description": example.description,
        "org.opencontainers.image.created": "2026-02-03T04:05:06Z",
        "org.opencontainers.image.revision": COMMIT.sha,
    }
    labels = {await label.name(): await label.value() for label in await example.container.labels()}
    assert expected.items() <= labels.items()
    # Without its files, which take a while to be written.
    empty = example.container.with_rootfs(dag.directory().with_new_file("empty", ""))
    manifest = (await Archive.export(empty, tmp_path / "image.tar")).manifest()
    assert expected.items() <= manifest["annotations"].items()


async def test_it_is_built_for_each_platform(connection: None, tmp_path: Path) -> None:
    """An image of two platforms is two images, in the order of image.toml; each knows its own."""
    del connection
    built = await build_for_both(tmp_path)
    assert [*built] == ["linux/arm64", "linux/amd64"]
    for platform, container in built.items():
        assert await container.platform() == platform
        assert await container.file("/platform").contents() == f"{platform}\n"
