"""A piece of the world dies in the middle of a build: the error is clear, and the next run works without help."""

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.engine.conftest import ROOT, Checkout
from tests.sandbox import sandbox

#: Seconds that a build may take to get to the step in which something is killed.
PATIENCE = 300


@pytest.fixture(autouse=True)
def repaired() -> Iterator[None]:
    """Leave a whole sandbox to the next test, whatever this one did to it."""
    yield
    up()


def up() -> None:
    """What every `./dev` command does first."""
    subprocess.run([str(ROOT / "dev"), "up"], check=True, capture_output=True)


def pids(service: str) -> list[psutil.Process]:
    """The processes of a service: the one that was started, and its children."""
    line = next(line for line in sandbox.status() if line.name == service)
    assert line.pid is not None
    process = psutil.Process(line.pid)
    return [process, *process.children(recursive=True)]


def with_fresh_package(checkout: Checkout) -> None:
    """Make the build download a package: one whose locked hash the cache does not have."""
    lock = checkout.read("small/pixi.lock")
    unique = f"{time.time_ns():x}".rjust(64, "a")
    checkout.write("small/pixi.lock", re.sub(r"sha256: [0-9a-f]{64}", f"sha256: {unique}", lock, count=1))


def wait_for(process: subprocess.Popen[str], log: Path, text: str) -> None:
    """Wait until a build has printed a text."""
    deadline = time.monotonic() + PATIENCE
    while text not in log.read_text(errors="replace"):
        assert process.poll() is None, log.read_text(errors="replace")
        assert time.monotonic() < deadline, log.read_text(errors="replace")
        time.sleep(0.1)


def test_the_channel_dies_while_packages_are_fetched(checkout: Checkout, tmp_path: Path) -> None:
    """A channel that hangs and is killed in a download is told; with it back, the same checkout builds."""
    good = checkout.read("small/pixi.lock")
    with_fresh_package(checkout)
    channel = pids("conda.anaconda.org")
    for process in channel:
        process.suspend()
    log = tmp_path / "log"
    with log.open("w") as output:
        command = ["dagger", "--progress=plain", "call", "build", "--image", "small"]
        with subprocess.Popen(command, cwd=checkout.path, stdout=output, stderr=output, text=True) as build:
            wait_for(build, log, "python /fetch.py")
            time.sleep(3)  # into the download, which has no end while the server is stopped
            for process in channel:
                process.kill()
            code = build.wait(PATIENCE)
    said = log.read_text(errors="replace")
    assert code != 0
    assert "Traceback" not in said
    assert re.search(r"1 of \d+ packages of small/pixi\.lock could not be fetched", said)
    assert "run the same command again when the channel can be reached: what was fetched is kept" in said
    up()
    checkout.write("small/pixi.lock", good)
    assert checkout.call("build", "--image", "small").returncode == 0


def test_a_registry_dies(checkout: Checkout) -> None:
    """A registry that is not there is told with the image that it should have given; with it back, the build works."""
    for process in pids("ghcr.io"):
        process.kill()
    base = 'base = "ghcr.io/prefix-dev/pixi:noble"\n'
    # A call that was made before would be answered from the engine's cache.
    checkout.write("small/image.toml", f'description = "A small image, {time.time_ns()}"\n{base}')
    said = checkout.refusal("build", "--image", "small")
    assert said.startswith("small: base image ghcr.io/prefix-dev/pixi:noble cannot be pulled: ")
    up()
    assert checkout.call("build", "--image", "small").returncode == 0


def test_the_engine_dies_in_a_build(checkout: Checkout, tmp_path: Path) -> None:
    """An engine that is killed ends the call with an error, not a hang; the next `./dev call` starts it again."""
    checkout.write("small/image.toml", f'description = "A small image, {time.time_ns()}"\n')
    with_fresh_package(checkout)
    channel = pids("conda.anaconda.org")
    for process in channel:
        process.suspend()
    log = tmp_path / "log"
    with log.open("w") as output:
        command = [str(ROOT / "dev"), "call", "--progress=plain", "build", "--image", "small"]
        with subprocess.Popen(command, cwd=checkout.path, stdout=output, stderr=output, text=True) as build:
            wait_for(build, log, "python /fetch.py")
            sandbox.stop(["engine"], force=True)
            code = build.wait(PATIENCE)
    for process in channel:
        process.resume()
    said = log.read_text(errors="replace").splitlines()[-1]
    assert code == 1
    assert said.startswith("error: The engine ended in the middle of the call: see ")
    assert "Run the same command again: it starts the engine" in said
    ended = subprocess.run(
        [str(ROOT / "dev"), "call", "images"], cwd=checkout.path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("small  A small image")
