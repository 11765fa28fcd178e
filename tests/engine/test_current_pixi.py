"""An image whose manifest only a current pixi reads, on a base that has one."""

import pytest
import pytest_asyncio

from tests.engine.conftest import Checkout, answer, apply, copy_module
from tests.engine.inside import run
from tests.sandbox.current_pixi import VERSION

pytestmark = pytest.mark.asyncio

#: pixi 0.15 knows no table of this name.
MANIFEST = """\
[workspace]
name = "current"
channels = ["conda-forge"]
platforms = ["linux-64"]

[dependencies]
python = "3.12.*"
"""
IMAGE = f"""\
description = "On a current pixi"
base = "ghcr.io/prefix-dev/pixi:{VERSION}-noble"

[probes]
scripts = ["python"]
"""


@pytest_asyncio.fixture(scope="module")
async def current(tmp_path_factory: pytest.TempPathFactory, connection: None) -> Checkout:  # noqa: ARG001  # asked for first
    """A checkout with the image `current`, locked by the base's own pixi."""
    checkout = Checkout(tmp_path_factory.mktemp("checkout"))
    copy_module(checkout.path)
    checkout.write("current/image.toml", IMAGE)
    checkout.write("current/pixi.toml", MANIFEST)
    await apply(checkout, "lock", image="current")
    return checkout


async def test_the_lock_is_of_the_newest_format(current: Checkout) -> None:
    """pixi 0.15 writes format 4, and a current one format 7."""
    assert current.read("current/pixi.lock").startswith("version: 7\n")


async def test_it_is_built_and_works(current: Checkout) -> None:
    """The environment that the lock says is installed, activated and probed."""
    assert "python" in await answer(current, "smoke_test", image="current")


async def test_the_base_has_no_python_of_its_own(current: Checkout) -> None:
    """The stand-in runs on one that is nowhere on PATH, as the real pixi needs none."""
    built = await answer(current, "build", image="current")
    assert await run(built, "sh", "-c", "command -v python3") == "/app/.pixi/envs/default/bin/python3"
