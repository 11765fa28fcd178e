"""An image whose manifest only a current pixi reads, on a base that has one."""

import pytest

from tests.engine.conftest import Checkout, copy_module
from tests.sandbox.current_pixi import VERSION

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


@pytest.fixture(scope="module")
def current(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout with the image `current`, locked by the base's own pixi."""
    checkout = Checkout(tmp_path_factory.mktemp("checkout"))
    copy_module(checkout.path)
    checkout.write("current/image.toml", IMAGE)
    checkout.write("current/pixi.toml", MANIFEST)
    ended = checkout.call("--auto-apply", "lock", "--image", "current")
    assert ended.returncode == 0, ended.stderr
    return checkout


def test_the_lock_is_of_the_newest_format(current: Checkout) -> None:
    """pixi 0.15 writes format 4, and a current one format 7."""
    assert current.read("current/pixi.lock").startswith("version: 7\n")


def test_it_is_built_and_works(current: Checkout) -> None:
    """The environment that the lock says is installed, activated and probed."""
    ended = current.call("smoke-test", "--image", "current")
    assert ended.returncode == 0, ended.stderr
    assert "python" in ended.stdout


def test_the_base_has_no_python_of_its_own(current: Checkout) -> None:
    """The stand-in runs on one that is nowhere on PATH, as the real pixi needs none."""
    command = ["with-exec", "--args", "sh,-c,command -v python3", "stdout"]
    ended = current.call("build", "--image", "current", *command)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == "/app/.pixi/envs/default/bin/python3"
