"""Checks on the engine, as `dagger check` runs them: errors are reported with the file and line to change."""

import re

import dagger
import pytest
from dagger import dag

from pipeline.commands.check import inspect_image
from pipeline.config.image_kind import ImageKind
from pipeline.config.settings import Settings
from tests.engine.conftest import Checkout, answer, apply, failure, refused
from tests.engine.network import names_reached
from tests.unit.repository import Repository

CHECKS = [
    "cuda-consistent",
    "cvmfs-ready",
    "images-sound",
    "locks-fresh",
    "probes-pass",
    "sizes-in-budget",
    "specs-valid",
]
TOOLS = Settings().fetch_base
DESCRIPTION = 'description = "A small image"\n'
DOCKERFILE = """
FROM docker.io/library/python:3.12-slim
RUN mkdir -p /root/.cache && echo x > /root/.cache/x && echo x > /tmp/x && echo token > /root/.netrc \\
    && install -m 600 /dev/null /etc/ssh_host_rsa_key && install -m 600 /dev/null /opt/fetched
"""
UNREADY = """
FROM docker.io/library/python:3.12-slim
RUN mkdir -p /opt/closed/too && install -m 0044 /dev/null /opt/closed/file && ln /usr/bin/env /opt/env \\
    && install -o 65536 /dev/null /opt/theirs && touch /opt/.cvmfsdirtab && chmod 0555 /opt/closed/too /opt/closed
"""


def test_the_checks_are_listed(checkout: Checkout) -> None:
    """Each check needs no argument, and has a line that says what it checks."""
    ended = checkout.dagger("check", "-l")
    assert ended.returncode == 0, ended.stderr
    lines = [re.split(r"\s{2,}", line) for line in ended.stdout.splitlines()[1:]]
    assert [name for name, *_ in lines] == CHECKS
    assert all(text.startswith("Check ") for _, text in lines)


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_good_images_pass_all_checks(checkout: Checkout) -> None:
    """A small image with a budget that is large enough passes everything there is; so do new ones, not committed.

    `dagger check` itself succeeds in the workflow of a pull request (test_workflow).
    """
    checkout.write("small/image.toml", DESCRIPTION + 'size_budget = "1 GB"\n')
    Repository(checkout.path).commit("First")
    for kind in ImageKind:
        await apply(checkout, "scaffold", name=f"new-{kind.value}", kind=kind)
        assert checkout.read(f"new-{kind.value}/image.toml")
    with names_reached():
        for check in CHECKS:
            await answer(checkout, check.replace("-", "_"))


def test_what_files_say_wrongly_is_told_with_its_line(checkout: Checkout) -> None:
    """Each check that finds something fails with file and line, and the others do not hide it."""
    manifest = checkout.read("small/pixi.toml")
    for name in ("image.toml", "pixi.lock"):
        checkout.write(f"large/{name}", checkout.read(f"small/{name}"))
    checkout.write("small/pixi.toml", manifest + 'numpy = "*"\n')
    checkout.write("large/pixi.toml", manifest + '[system-requirements]\ncuda = "12.8"\n')
    checkout.write("broken/image.toml", DESCRIPTION + "\nenviroment = 'default'\n")
    ended = checkout.dagger("check", "specs-valid", "locks-fresh", "cuda-consistent")
    assert ended.returncode != 0
    stderr = ended.stderr
    line = manifest.count("\n") + 1
    assert "broken/image.toml:3: unknown key 'enviroment'; did you mean 'environment'?" in stderr
    assert (
        f"small/pixi.lock does not match small/pixi.toml:{line} (pixi: the dependencies of environment 'default'"
        in stderr
    )
    assert f"environment 'default' of large/pixi.toml:{line + 1} requires CUDA 12.8, but large/image" in stderr


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_what_a_build_left_is_told(checkout: Checkout) -> None:
    """Caches, secrets and temporary files that a Dockerfile leaves are found in its image, and so is its size."""
    checkout.write("small/Dockerfile", DOCKERFILE)
    checkout.write("small/image.toml", DESCRIPTION + 'dockerfile = "Dockerfile"\nsize_budget = "1 MB"\n')
    unsound = (await failure(checkout, "images_sound")).message
    for left in (
        "has 1 path that only made the build faster (/root/.cache/x); remove it",
        "has 1 path that the build left in a temporary folder (/tmp/x); remove",
        "has 1 path that may hold a password or a key (/root/.netrc); give",
        "has 1 path that may hold a private key, which all who have the image have too (/etc/ssh_host_rsa_key); remove",
        "has 1 path that not every user can read or enter, as it seems by accident (/opt/fetched); give",
    ):
        assert f"small/Dockerfile: image small {left}" in unsound
    large = await refused(checkout, "sizes_in_budget")
    assert re.match(r"small/image\.toml:3: the files of image small take \d+\.\d MB, more than the 1\.0 MB of", large)


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_layers_that_an_unpacker_trips_on_are_told(checkout: Checkout) -> None:
    """Those of an image of a Dockerfile, as they would be pushed; its base image's modes are not its own."""
    checkout.write("small/Dockerfile", UNREADY)
    checkout.write("small/image.toml", DESCRIPTION + 'dockerfile = "Dockerfile"\ncompression = "zstd"\n')
    checkout.write("other/image.toml", DESCRIPTION + 'dockerfile = "Dockerfile"\nno_cvmfs = "for Kubernetes"\n')
    checkout.write("other/Dockerfile", "FROM docker.io/library/not-asked-for:1\n")
    found = (await failure(checkout, "cvmfs_ready")).message.splitlines()
    assert [re.sub(r" (are|belong|have) .*", "", line) for line in found] == [
        "small/image.toml:3: the layers of image small",
        "small/Dockerfile: in image small, 2 paths (/opt/closed; /opt/closed/too)",
        "small/Dockerfile: in image small, /opt/closed/file",
        "small/Dockerfile: in image small, /opt/theirs",
        "small/Dockerfile: in image small, /opt/.cvmfsdirtab",
    ]


@pytest.fixture
def base() -> dagger.Container:
    """An image of no kind, to do something to."""
    return dag.container().from_("docker.io/library/python:3.12-slim")


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
@pytest.mark.parametrize(
    ("kind", "command", "path"),
    [
        ("closed", "touch '/srv/a b'; chmod 640 '/srv/a b'", "/srv/a b"),
        ("closed", "mkdir -m 750 /srv/a", "/srv/a"),
        ("open", "touch /usr/local/bin/a; chmod 777 /usr/local/bin/a", "/usr/local/bin/a"),
        ("open", "mkdir -m 777 /srv/a", "/srv/a"),
        ("cache", "mkdir -p /root/.cache/pip; touch /root/.cache/pip/a", "/root/.cache/pip/a"),
        ("left", "touch /var/tmp/a", "/var/tmp/a"),  # noqa: S108  # the image's own
        ("key", "echo '-----BEGIN EC PRIVATE KEY-----' > /srv/a", "/srv/a"),
        ("secret", "mkdir /root/.docker; touch /root/.docker/config.json", "/root/.docker/config.json"),
    ],
)
async def test_an_image_is_looked_at_from_inside(base: dagger.Container, kind: str, command: str, path: str) -> None:
    """A change of an image is found in it, and was not there before."""
    done = base.with_exec(["sh", "-euc", command])
    before, after = await inspect_image(base, TOOLS), await inspect_image(done, TOOLS)
    assert after.paths[kind] - before.paths[kind] == {path}


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_what_belongs_in_an_image_is_not_found(base: dagger.Container) -> None:
    """Files that all may read, a sticky folder that all may write, and a file that grows an image by its size."""
    command = "mkdir -m 1777 /srv/a; echo x > /srv/b; head -c 10000000 /dev/urandom > /srv/c"
    done = base.with_exec(["sh", "-euc", command])
    before, after = await inspect_image(base, TOOLS), await inspect_image(done, TOOLS)
    assert before.paths == after.paths
    assert 10_000_000 <= after.size - before.size < 10_100_000


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_an_environment_is_active_by_its_scripts(base: dagger.Container) -> None:
    """The scripts that runtimes read are run with no variable set, and the variables they set are reported."""
    script = "export CONDA_PREFIX=/app/env; export PATH=/app/env/bin:/bin"
    facts = await inspect_image(base.with_new_file("/etc/profile.d/91-environment.sh", script), TOOLS)
    assert facts.active["/etc/profile.d/91-environment.sh"] == ("/app/env", "/app/env/bin:/bin")
    assert facts.active.get("/.singularity.d/env/91-environment.sh", ("", ""))[0] == ""
