"""An image whose manifest only a current pixi reads, on a base that has one."""

from pathlib import Path

import pytest

from tests.engine.conftest import Checkout, copy_module
from tests.sandbox.current_pixi import VERSION

BASE = f"ghcr.io/prefix-dev/pixi:{VERSION}-noble"
#: pixi 0.15 knows no table of this name, and no table over several lines.
MANIFEST = """\
[workspace]
name = "current"
channels = ["conda-forge"]
platforms = ["linux-64"]

[dependencies]
python = "3.12.*"
numpy = {
  version = "*",
}
"""
IMAGE = f'description = "On a current pixi"\nbase = "{BASE}"\n\n[probes]\nscripts = ["python"]\nimports = ["numpy"]\n'


@pytest.fixture(scope="module")
def current(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout with the image `current`, locked by the base's own pixi."""
    checkout = Checkout(tmp_path_factory.mktemp("checkout"))
    copy_module(checkout.path)
    checkout.write("current/image.toml", IMAGE)
    checkout.write("current/pixi.toml", MANIFEST.replace('{\n  version = "*",\n}', '"*"'))
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
    assert "numpy" in ended.stdout


def test_the_base_has_no_python_of_its_own(current: Checkout) -> None:
    """What the stand-in runs on is nowhere on PATH, as with the real one."""
    folder: Path = current.path
    assert folder.is_dir()
    ended = current.call("build", "--image", "current", "with-exec", "--args", "sh,-c,command -v python3", "stdout")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == "/app/.pixi/envs/default/bin/python3"
