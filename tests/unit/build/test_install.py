"""The installation: when its packages are fetched again, and what it may write to."""

import subprocess
import time
from pathlib import Path
from typing import Any

import dagger
import pytest
from dagger import dag

from pipeline.build import install as module
from pipeline.build.inputs import BuildInputs
from pipeline.build.install import KEEP, install, runs_code
from pipeline.config.image_toml import ImageSpec
from pipeline.config.settings import Settings
from pipeline.errors import Code
from pipeline.locks.image_lock import ImageLock, Locked
from pipeline.locks.lockfile import LockTarget
from pipeline.locks.manifest import Manifest
from pipeline.scripts.unpack import DAMAGED
from tests.unit.refusals import refused
from tests.unit.steps import exec_error

INPUTS = BuildInputs("small", ImageSpec(description="x"), Settings(), dag.directory(), "linux/amd64")
LOCKED = Locked(LockTarget("default", "linux-64"), {}, {})
WHEEL = "https://files.pythonhosted.org/packages/foo-1.0-py3-none-any.whl"


class Steps:
    """Stands for the two steps: the installation ends with one exit code after the other."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *codes: int) -> None:
        self.codes = list(codes)
        self.fetched: list[str] = []
        monkeypatch.setattr(module, "_fetch", self.fetch)
        monkeypatch.setattr(module, "_with_environment", lambda *_, **__: self)

    async def fetch(self, *_: Any, copied: bool, again: str) -> dagger.Container:  # noqa: ANN401
        """Fetch the packages."""
        assert not copied
        self.fetched.append(again)
        return dag.container()

    async def sync(self) -> str:
        """Install them."""
        if code := self.codes.pop(0):
            raise exec_error(stderr="foo-1.0-h0_0 is damaged\n", code=code)
        return "installed"


async def run() -> object:
    """Install an image without files."""
    lock = ImageLock(Manifest("small", "pixi.toml", {}), (LOCKED,))
    return await install(dag.container(), INPUTS, lock, LOCKED, "/app")


@pytest.mark.asyncio
async def test_damaged_packages_are_fetched_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody has to know of the cache: the build goes on, and says what it did."""
    steps = Steps(monkeypatch, DAMAGED, 0)
    assert await run() == "installed"
    first, second = steps.fetched
    assert (first, bool(second)) == ("", True)
    assert "small: foo-1.0-h0_0 is damaged; the packages are fetched again\n" in capsys.readouterr().out


@pytest.mark.asyncio
async def test_a_cache_that_keeps_nothing_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second time the engine's disk is the reason."""
    steps = Steps(monkeypatch, DAMAGED, DAMAGED)
    with refused(Code.DOWNLOAD_FAILED, "small", "foo-1.0-h0_0 is damaged", "disk"):
        await run()
    assert len(steps.fetched) == 2


@pytest.mark.asyncio
async def test_another_failure_fetches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is pixi's own."""
    steps = Steps(monkeypatch, 1)
    with refused(Code.INSTALL_FAILED, "small"):
        await run()
    assert steps.fetched == [""]


@pytest.mark.parametrize(
    ("urls", "scripts", "expected"),
    [
        ([], False, False),
        ([WHEEL, f"{WHEEL}#sha256=1", "links/foo-1.0-py3-none-any.whl"], False, False),
        ([], True, True),
        ([WHEEL, "https://files.pythonhosted.org/packages/foo-1.0.tar.gz"], False, True),
        (["git+https://github.com/scikit-hep/vector?rev=main#0"], False, True),
        (["libs/foo"], False, True),
    ],
)
def test_what_is_built_runs_code(urls: list[str], scripts: bool, expected: bool) -> None:  # noqa: FBT001
    """A wheel is only unpacked; anything else is a build, whose requirements no lock has."""
    assert runs_code(ImageSpec(description="x", post_link_scripts=scripts), urls) is expected


def test_downloads_of_uv_begin_again(tmp_path: Path) -> None:
    """Downloads of this period and of the last one stay; all else is removed."""
    period = int(time.time()) // 2592000
    for name in (period - 2, period - 1, period, "archive-v0"):
        (tmp_path / f"wheels/{name}").mkdir(parents=True)
    (tmp_path / f"wheels/{period}/a").touch()
    for link in ("one", "two"):
        command = ["sh", "-euc", f'{KEEP}keep "$@"', "sh", str(tmp_path / "wheels"), str(tmp_path / link)]
        subprocess.run(command, check=True)
        assert [path.name for path in (tmp_path / link).iterdir()] == ["a"]
    assert {path.name for path in (tmp_path / "wheels").iterdir()} == {str(period - 1), str(period)}
