"""The sandbox itself: its names hold for the engine's containers and nobody else, and what dies is started again."""

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.engine.alone.second import Second
from tests.sandbox import processes
from tests.sandbox.hosts import HOSTS
from tests.sandbox.machine import listener
from tests.sandbox.processes import Process
from tests.sandbox.state import current

DEV = Path(__file__).parents[3] / "dev"
#: Prints the status of an HTTPS answer from each name, with the trust that the container's Python has by itself.
ASK = """
import os, sys, urllib.error, urllib.request
for name in sys.argv[1:]:
    try:
        print(name, urllib.request.urlopen(f"https://{name}/v2/").status)
    except urllib.error.HTTPError as error:
        print(name, error.code)
"""


def dev(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Type a command of ``./dev``."""
    return subprocess.run([DEV, *arguments], capture_output=True, text=True, check=False, timeout=600)


def status() -> dict[str, dict[str, Any]]:
    """The lines of ``./dev status`` by name."""
    return {line["name"]: line for line in json.loads(dev("status", "--json").stdout)}


def run_in_container(image: str, *command: str) -> str:
    """The output of a command in a container of the engine."""
    text = f"{{container{{from(address:{json.dumps(image)}){{withExec(args:{json.dumps(command)}){{stdout}}}}}}}}"
    ended = subprocess.run(
        ["dagger", "query", "--silent"], input=text, capture_output=True, text=True, check=False, cwd="/", timeout=600
    )
    assert ended.returncode == 0, ended.stderr
    return str(json.loads(ended.stdout)["container"]["from"]["withExec"]["stdout"])


def test_containers_reach_every_name_with_tls() -> None:
    """Those that ask for a password say so, the public channel has no such page; all are trusted."""
    names = [host.name for host in HOSTS]
    answers = run_in_container("python:3.13-slim", "python3", "-c", ASK, *names).splitlines()
    assert answers == [f"{host.name} {401 if host.asks else 404}" for host in HOSTS]


def test_regctl_is_the_release_that_its_image_names() -> None:
    """The stand-in has the real program, and no shell to start it with."""
    output = run_in_container("ghcr.io/regclient/regctl:v0.11.7", "/regctl", "version", "--format", "{{.VCSTag}}")
    assert output.strip() == "v0.11.7"


def test_the_host_has_no_trace_of_the_names() -> None:
    """No port of theirs is open outside the machine, and the host's own names are untouched."""
    opened = {tuple(line.split()[1:4:2]) for line in Path("/proc/net/tcp").read_text().splitlines()[1:]}
    ports = [listener(host.address, 443) for host in HOSTS]
    ports += [listener("127.0.0.1", host.storage_port) for host in HOSTS if host.is_registry]
    assert not opened.intersection(ports)
    assert not any(host.address in Path("/etc/hosts").read_text() for host in HOSTS)
    mounts = Path("/proc/1/mountinfo").read_text()
    assert str(current().folder) not in mounts


@pytest.mark.parametrize("name", ["conda.anaconda.org", "ghcr.io", "ghcr.io.storage", "network"])
def test_a_killed_service_is_started_again(name: str) -> None:
    """``status`` reports that it is down, ``up`` starts it alone, and the engine goes on."""
    before = status()
    assert dev("stop", "--kill", name).returncode == 0
    assert dev("status").returncode == 1
    assert not status()[name]["healthy"]
    ended = dev("up")
    assert ended.returncode == 0, ended.stderr
    after = status()
    assert all(line["healthy"] for line in after.values())
    assert {other for other in after if after[other]["pid"] != before[other]["pid"]} == {name}


def test_up_does_nothing_when_nothing_is_to_do() -> None:
    """The same processes run on, and nothing is printed but that it is up."""
    before = status()
    ended = dev("up")
    assert ended.stderr.startswith("The sandbox is up")
    assert status() == before


def test_a_service_that_does_not_exist_is_refused_with_those_that_do() -> None:
    """One sentence, and a non-zero exit."""
    ended = dev("stop", "ghcr.oi")
    assert ended.returncode == 1
    assert "no service ghcr.oi in the sandbox; there are machine, network, " in ended.stderr


def test_each_process_is_written_down() -> None:
    """A file a process, which leads to the very process that runs."""
    for name, line in status().items():
        process = Process.load(current().run / f"{name}.json")
        assert process is not None
        assert process.pid == line["pid"]


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
