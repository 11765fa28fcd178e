"""What a built image is like from inside, asked through the SDK: however a command is started in it."""

from collections.abc import AsyncIterator

import dagger
import pytest
import pytest_asyncio
from dagger import dag

from pipeline.checkout import Checkout as Images
from tests.engine.conftest import Checkout, copy_module, overlay

pytestmark = pytest.mark.asyncio
PREFIX = "/app/.pixi/envs/default"


@pytest_asyncio.fixture(scope="module")
async def image(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dagger.Container]:
    """The image ``small``, with a file and a variable of its own."""
    checkout = Checkout(tmp_path_factory.mktemp("checkout"))
    copy_module(checkout.path, ["pyproject.toml"])
    checkout.write("small/greeting", "hello\n")
    for name in ("pixi.toml", "pixi.lock"):
        checkout.write(f"small/{name}", (overlay("small") / name).read_text())
    checkout.write(
        "small/image.toml",
        'description = "A small image"\n[env]\nGREETING = "it\'s"\n'
        '[[files]]\nsource = "greeting"\npath = "/usr/local/share/greeting"\nmode = "0644"\n',
    )
    async with dagger.connection(dagger.Config(log_output=None)):
        images = await Images.open(dag.host().directory(str(checkout.path)))
        yield await images.build("small")


async def run(container: dagger.Container, *command: str, entrypoint: bool = False) -> str:
    """What a command prints in an image."""
    return (await container.with_exec(list(command), use_entrypoint=entrypoint).stdout()).strip()


@pytest.mark.parametrize("entrypoint", [True, False], ids=["entrypoint", "exec"])
async def test_the_environment_is_active(image: dagger.Container, *, entrypoint: bool) -> None:
    """`python` is the environment's, with and without the entrypoint."""
    assert await run(image, "python", "-c", "import sys; print(sys.prefix)", entrypoint=entrypoint) == PREFIX


async def test_the_environment_can_be_sourced(image: dagger.Container) -> None:
    """Where variables are ignored too, as on CVMFS, the script for Apptainer gives all of them."""
    script = "env -i sh -c '. /.singularity.d/env/91-environment.sh; python -c \"import sys; print(sys.prefix)\"; env'"
    found = await run(image, "sh", "-c", script)
    assert found.splitlines()[0] == PREFIX
    assert f"CONDA_PREFIX={PREFIX}" in found.splitlines()


async def test_no_variable_of_the_build_is_left(image: dagger.Container) -> None:
    """The image has variables of its base, its environment and its image.toml, and none of the engine or the cache."""
    names = {await variable.name() for variable in await image.env_variables()}
    assert {"PATH", "CONDA_PREFIX", "PYTHONNOUSERSITE", "GREETING"} <= names
    assert not {
        name for name in names if name.startswith(("OTEL", "TRACE", "DAGGER", "RATTLER", "PIXI_CACHE", "CONDA_OVER"))
    }


async def test_no_download_is_left(image: dagger.Container) -> None:
    """The packages' cache is a volume of the build, and not part of the image."""
    assert await run(image, "sh", "-c", "ls -A /var/cache/pixi /root/.cache /fetched 2>/dev/null || true") == ""


async def test_files_and_variables_of_image_toml_are_there(image: dagger.Container) -> None:
    """What image.toml says is copied and set, with the mode that it says."""
    assert await run(image, "stat", "--format=%a %U", "/usr/local/share/greeting") == "644 root"
    assert await run(image, "sh", "-c", 'cat /usr/local/share/greeting; printf "$GREETING"') == "hello\nit's"


async def test_anybody_can_work_in_it(image: dagger.Container) -> None:
    """A user that the image does not know runs Python and writes where people write, and nowhere else."""
    anybody = image.with_user("12345:12345")
    writable = ["/workspace", *(f"/app/.jupyter/{name}" for name in ("config", "data", "runtime"))]
    await run(anybody, "touch", *(f"{folder}/a" for folder in writable), entrypoint=True)
    await run(anybody, "python", "-c", "import ssl")
    with pytest.raises(dagger.ExecError):
        await run(anybody, "touch", "/app/a")


async def test_host_libraries_are_searched(image: dagger.Container) -> None:
    """A library that a site mounts at /host-libs is found by the loader after ldconfig."""
    assert await run(image, "sh", "-c", "cat /etc/ld.so.conf.d/000-host-libs.conf; test -d /host-libs") == "/host-libs"


async def test_it_says_what_it_is(image: dagger.Container) -> None:
    """The labels have the names that OCI gives them."""
    assert await image.label("org.opencontainers.image.title") == "small"
    assert await image.label("org.opencontainers.image.description") == "A small image"
    assert (await image.label("org.opencontainers.image.base.name") or "").startswith("ghcr.io/prefix-dev/pixi:")
