"""The sandbox itself: its names hold for the engine's containers and nobody else, and what dies is started again."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

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
