"""A piece of the world dies in the middle of a build: the error is clear, and the next run works without help."""

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from tests.engine.conftest import PATIENCE, ROOT, Checkout
from tests.sandbox import sandbox
from tests.sandbox.hosts import HOSTS
from tests.sandbox.machine import Machine
from tests.sandbox.state import current

CHANNEL_ADDRESS = next(host.address for host in HOSTS if not host.is_registry)


@pytest.fixture(autouse=True)
def repaired() -> Iterator[None]:
    """Leave a whole sandbox to the next test, whatever this one did to it."""
    yield
    up()


def up() -> None:
    """Do the first step of every `./dev` command."""
    subprocess.run([str(ROOT / "dev"), "up"], check=True, capture_output=True)


def pids(service: str) -> list[psutil.Process]:
    """The processes of a service: the one that was started, and its children."""
    line = next(line for line in sandbox.status() if line.name == service)
    assert line.pid is not None
    process = psutil.Process(line.pid)
    return [process, *process.children(recursive=True)]


@contextmanager
def hanging(service: str) -> Iterator[list[psutil.Process]]:
    """A service that takes connections and does not answer; killed at the end, so that it is started again."""
    processes = pids(service)
    for process in processes:
        process.suspend()
    try:
        yield processes
    finally:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()


def with_fresh_package(checkout: Checkout) -> None:
    """Make the build download a package: one whose locked hash the cache does not have."""
    lock = checkout.read("small/pixi.lock")
    unique = f"{time.time_ns():x}".rjust(64, "a")
    checkout.write("small/pixi.lock", re.sub(r"sha256: [0-9a-f]{64}", f"sha256: {unique}", lock, count=1))


class Build:
    """A build that runs, and what it has printed."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process, self.log = process, log

    @property
    def output(self) -> str:
        """All that it has printed."""
        return self.log.read_text(errors="replace")

    def end(self) -> tuple[int, str]:
        """Wait for its end; its exit code, and all that it printed."""
        return self.process.wait(PATIENCE), self.output


@contextmanager
def a_build(checkout: Checkout, log: Path) -> Iterator[Build]:
    """A build of ``small`` that has got to fetching its packages."""
    command = [str(ROOT / "dev"), "call", "--progress=plain", "build", "--image", "small"]
    with log.open("w") as output, subprocess.Popen(command, cwd=checkout.path, stdout=output, stderr=output) as process:
        build = Build(process, log)
        deadline = time.monotonic() + PATIENCE
        while "pipeline.scripts.fetch" not in build.output:
            assert process.poll() is None, build.output
            assert time.monotonic() < deadline, build.output
            time.sleep(0.1)
        yield build


def test_the_channel_dies_while_packages_are_fetched(checkout: Checkout, tmp_path: Path) -> None:
    """A channel that hangs and is killed in a download is reported; with it back, the same checkout builds."""
    good = checkout.read("small/pixi.lock")
    with_fresh_package(checkout)
    with hanging("conda.anaconda.org") as channel, a_build(checkout, tmp_path / "log") as build:
        # Into the download, which has no end while the server is stopped.
        deadline = time.monotonic() + PATIENCE
        while not Machine(current()).is_connected(CHANNEL_ADDRESS, 443):
            assert time.monotonic() < deadline, build.output
            time.sleep(0.1)
        for process in channel:
            process.kill()
        code, output = build.end()
    assert code != 0
    assert "Traceback" not in output
    assert re.search(r"1 of \d+ packages of small/pixi\.lock could not be fetched", output)
    assert "run the same command again when the channel can be reached: what was fetched is kept" in output
    up()
    checkout.write("small/pixi.lock", good)
    assert checkout.call("build", "--image", "small").returncode == 0


def test_a_registry_dies(checkout: Checkout) -> None:
    """A registry that is not there is reported with the image to pull from it; with it back, the build works."""
    for process in pids("ghcr.io"):
        process.kill()
    base = 'base = "ghcr.io/prefix-dev/pixi:noble"\n'
    # A call that was made before would be answered from the engine's cache.
    checkout.write("small/image.toml", f'description = "A small image, {time.time_ns()}"\n{base}')
    message = checkout.refusal("build", "--image", "small")
    assert message.startswith("small: base image ghcr.io/prefix-dev/pixi:noble cannot be pulled: ")
    up()
    assert checkout.call("build", "--image", "small").returncode == 0


def test_the_engine_dies_in_a_build(checkout: Checkout, tmp_path: Path) -> None:
    """An engine that is killed ends the call with an error, not a hang; the next `./dev call` starts it again."""
    checkout.write("small/image.toml", f'description = "A small image, {time.time_ns()}"\n')
    with_fresh_package(checkout)
    with hanging("conda.anaconda.org"), a_build(checkout, tmp_path / "log") as build:
        sandbox.stop(["engine"], force=True)
        code, output = build.end()
    last = output.splitlines()[-1]
    assert code == 1
    assert last.startswith("error: The engine ended in the middle of the call: see ")
    assert "Run the same command again: it starts the engine" in last
    ended = subprocess.run(
        [str(ROOT / "dev"), "call", "images"], cwd=checkout.path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("small  A small image")
