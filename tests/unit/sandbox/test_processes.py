"""Processes: known by id and start time, so that a stale file never leads to somebody else's process."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.sandbox import processes
from tests.sandbox.processes import Process


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def test_a_running_process_is_found_again(child: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """The saved record of a process identifies it for as long as it runs."""
    file = tmp_path / "sleep.json"
    process = Process.of(child.pid)
    process.save(file)
    assert Process.load(file) == process


def test_a_process_that_only_runs_is_not_dying(child: subprocess.Popen[bytes]) -> None:
    """Nor is one that has ended."""
    process = Process.of(child.pid)
    assert not process.is_dying
    child.kill()
    child.wait()
    assert not process.is_dying


def test_an_ended_process_is_not_found(child: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """A process that was killed is gone, though nobody has waited for it yet."""
    file = tmp_path / "sleep.json"
    Process.of(child.pid).save(file)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert Process.load(file) is None


def test_another_process_of_the_same_id_is_not_taken_for_it(child: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """After a reboot, or when ids come round again, the number alone proves nothing: it is left alone."""
    file = tmp_path / "sleep.json"
    stale = replace(Process.of(child.pid), identity="another boot 1")
    stale.save(file)
    assert Process.load(file) is None
    stale.stop(force=True)
    assert child.poll() is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', "null"])
def test_a_damaged_file_is_no_process(tmp_path: Path, text: str) -> None:
    """A file that a crash left half-written counts as none."""
    file = tmp_path / "sleep.json"
    file.write_text(text)
    assert Process.load(file) is None


def test_stopping_ends_the_process(child: subprocess.Popen[bytes]) -> None:
    """It is asked first; sleep ends when asked."""
    Process.of(child.pid).stop()
    assert child.wait(1) == -15


def test_a_process_that_does_not_listen_is_killed() -> None:
    """After its patience ran out, it is ended by force."""
    with subprocess.Popen(["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"], stdout=-1) as deaf:
        assert deaf.stdout is not None
        deaf.stdout.readline()
        Process.of(deaf.pid).stop(patience=0.05)
        assert deaf.wait(1) == -9


def test_the_last_lines_of_a_log_are_shown(tmp_path: Path) -> None:
    """A message ends with the log's path and its last lines."""
    log = tmp_path / "tool.log"
    log.write_text("one\ntwo\nthree\n")
    assert processes.last_lines(log, 2) == f"see {log}\n    two\n    three"
    assert processes.last_lines(tmp_path / "none.log") == f"see {tmp_path / 'none.log'}"


def test_a_client_that_ends_is_waited_for() -> None:
    """While its server runs, a client has all the time it wants."""
    server = subprocess.Popen(["sleep", "60"])
    client = subprocess.Popen(["sleep", "0.1"])
    assert processes.outlives(Process.of(server.pid), client, grace=0)
    assert client.returncode == 0
    server.kill()
    server.wait()


def test_a_client_whose_server_ended_is_not_waited_for() -> None:
    """A client that goes on without its server is distinguished from one that ended."""
    server = subprocess.Popen(["sleep", "0.1"])
    client = subprocess.Popen(["sleep", "60"])
    assert not processes.outlives(Process.of(server.pid), client, grace=0.05)
    server.wait()
    assert not processes.outlives(None, client, grace=0.05)
    client.kill()
    client.wait()
