"""A second sandbox that is cut off, broken and started again, since the first one would lose all that it keeps."""

import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.engine.second import Second
from tests.sandbox import processes
from tests.sandbox.processes import Process


@pytest.fixture(scope="module")
def second_sandbox() -> Iterator[Second]:
    """A sandbox that these tests alone use, since they lose what it keeps."""
    made = Second.make()
    yield made
    made.remove()


@pytest.fixture
def second(second_sandbox: Second) -> Second:
    """The second sandbox, running."""
    second_sandbox.up()
    return second_sandbox


def test_a_sandbox_that_was_stopped_keeps_what_it_has(second: Second) -> None:
    """Work of an engine before ``down`` is not done again."""
    before = second.remember()
    assert second.dev("down").returncode == 0
    assert "empty" not in second.up()
    assert second.remember() == before


def test_an_engine_that_was_killed_alone_keeps_what_it_has(second: Second) -> None:
    """Its machine still ran, so all that it wrote is there."""
    before = second.remember()
    assert second.dev("stop", "--kill", "engine").returncode == 0
    assert "its engine is gone" in second.up()
    assert second.remember() == before


def overwrite_the_middle(file: Path) -> None:
    """Leave a database as it is copied in the middle of writing: new pages between old ones."""
    with file.open("r+b") as opened:
        opened.seek(file.stat().st_size // 3)
        opened.write(b"\x01\x02\x03\x04" * 2048)


def test_a_power_cut_is_survived(second: Second) -> None:
    """All processes at once, in the middle of writing: the next start works by itself, says so, leaves no garbage."""
    before = second.remember()
    second.cut_off()
    worker = second.state.engine / "worker"
    overwrite_the_middle(worker / "containerdmeta.db")
    (worker / "metadata_v2.db").write_bytes((worker / "metadata_v2.db").read_bytes()[:20_000])
    for file in second.state.run.glob("*.json"):
        file.write_text(file.read_text()[:20])
    (second.state.folder / "parts.json").write_text("{")
    (second.state.secrets / "credentials.json").write_text("")
    (second.state.secrets / "ghcr.io.key").write_text("")
    output = second.up()
    assert output.count("cut off in the middle of its work; starting it with an empty engine and registries") == 1
    assert second.remember() != before
    assert "empty" not in second.up()
    while list(second.state.folder.glob("discarded.*")):
        time.sleep(0.1)


def test_a_machine_that_takes_its_time_to_die_was_cut_off_too(second: Second) -> None:
    """It is still there without its engine; that is no engine which was killed alone."""
    machine = Process.load(second.state.run / "machine.json")
    assert machine is not None
    # A machine ends when all in it have ended, and this one's end is waited for by a process that is stopped.
    with subprocess.Popen([*processes.entering(machine.pid), "sleep", "600"]) as entering:
        while not psutil.Process(entering.pid).children():
            time.sleep(0.01)
        entering.send_signal(signal.SIGSTOP)
        second.cut_off()
        assert machine.is_alive
        assert "cut off in the middle of its work" in second.up()


def test_an_engine_that_cannot_work_with_what_it_kept_starts_with_nothing(second: Second) -> None:
    """Two databases of different moments: it takes connections, and then fails at everything."""
    index = second.state.engine / "worker" / "snapshots" / "metadata.db"
    assert second.dev("down").returncode == 0
    previous = shutil.copy(index, second.state.folder / "previous.db")
    second.up()
    before = second.remember()
    assert second.dev("down").returncode == 0
    shutil.move(previous, index)
    output = second.up()
    assert output.count("with what it had kept; starting it with an empty engine") == 1
    assert second.remember() != before


def test_an_image_that_a_registry_lost_half_of_is_pushed_again(second: Second) -> None:
    """A layer that was cut is noticed, though the registry answers as if it had it."""
    layers = sorted((second.state.registry / "ghcr.io").glob("docker/registry/v2/blobs/sha256/*/*/data"))
    whole = {file: file.read_bytes() for file in layers}
    for file in layers:
        file.write_bytes(whole[file][:100])
    assert "pushing ghcr.io/prefix-dev/pixi:noble" in second.up()
    assert {file: file.read_bytes() for file in layers} == whole
