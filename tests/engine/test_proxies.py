"""The tools that fault tests use: proxies stand in front of a registry for who asks for them, and leave no trace."""

import json
import subprocess
import time
from pathlib import Path

from tests.engine.conftest import PATIENCE, ROOT
from tests.engine.killed import run_and_kill
from tests.sandbox import faults
from tests.sandbox.hosts import registry as host_of
from tests.sandbox.machine import Machine
from tests.sandbox.state import current

NAME = "ghcr.io"
#: Prints the status of an answer and how long it is, or how it failed.
ASK = """
import http.client, sys, urllib.error, urllib.request
try:
    answer = urllib.request.urlopen(sys.argv[1], timeout=60)
    print(answer.status, len(answer.read()))
except urllib.error.HTTPError as error:
    print(error.code)
except http.client.IncompleteRead:
    print("cut")
except OSError:
    print("failed")
"""
#: Answers 503 itself, and passes other things on.
ADDON = """
from mitmproxy import http

def request(flow: http.HTTPFlow) -> None:
    if flow.request.path in ("/v2/", "/v2/prefix-dev/pixi/manifests/noble"):
        flow.response = http.Response.make(503)
"""
#: A test that is killed while a proxy of its refuses connections.
FORGETFUL = """
import sys, time
from tests.sandbox import faults
with faults.toxiproxy(sys.argv[1]) as proxy:
    print(proxy.registry, flush=True)
    time.sleep(600)
"""


def query(text: str) -> subprocess.CompletedProcess[str]:
    """Ask the engine, past what it remembers of previous answers."""
    return subprocess.run(
        ["dagger", "query", "--progress=plain"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        timeout=PATIENCE,
    )


def ask(registry: str, path: str = "/v2/") -> str:
    """A container's result of a request to a registry: a status and a length, ``cut`` or ``failed``."""
    command = json.dumps(["python3", "-c", ASK, f"https://{registry}{path}", str(time.time_ns())])
    ended = query(
        f'{{ container {{ from(address: "python:3.13-slim") {{ withExec(args: {command}) {{ stdout }} }} }} }}'
    )
    assert ended.returncode == 0, ended.stderr
    return str(json.loads(ended.stdout)["container"]["from"]["withExec"]["stdout"]).strip()


def pull(registry: str) -> subprocess.CompletedProcess[str]:
    """Let the engine itself look for an image."""
    return query(f'{{ container {{ from(address: "{registry}/prefix-dev/pixi:noble") {{ user }} }} }}')


def big_blob() -> str:
    """The path of a layer of some megabytes: one of this repository, since others have not the right to hand it out."""
    storage = current().registry / NAME / "docker/registry/v2"
    layers = (storage / "repositories/prefix-dev/pixi/_layers/sha256").iterdir()
    blobs = [storage / "blobs/sha256" / layer.name[:2] / layer.name / "data" for layer in layers]
    biggest = max(blobs, key=lambda file: file.stat().st_size)
    return f"/v2/prefix-dev/pixi/blobs/sha256:{biggest.parent.name}"


def assert_no_trace(registry: str) -> None:
    """Neither listener nor note is left of a proxy, and the registry itself answers."""
    name, _, port = registry.partition(":")
    assert not Machine(current()).listens(host_of(name).address, int(port))
    assert not list(current().run.glob(f"proxy-{name}-{port}*"))
    assert ask(NAME) == "401"


def test_a_registry_answers_as_a_script_wants(tmp_path: Path) -> None:
    """Containers and the engine get 503 where the script wants it; all else passes, and all past it."""
    script = tmp_path / "busy.py"
    script.write_text(ADDON)
    layer = big_blob()
    with faults.mitmproxy(NAME, script) as proxy:
        assert ask(proxy.registry) == "503"
        assert ask(proxy.registry, layer).startswith("200 ")
        refused = pull(proxy.registry)
        assert refused.returncode != 0
        assert "503 Service Unavailable" in refused.stderr
        assert "503" in proxy.log.read_text()
        assert pull(NAME).returncode == 0
    assert_no_trace(proxy.registry)


def test_a_connection_is_cut() -> None:
    """In the middle of a layer, then before any byte of the answer; healed, it passes; another proxy harms nothing."""
    layer = big_blob()
    with faults.toxiproxy(NAME) as proxy, faults.toxiproxy(NAME) as other:
        assert ask(proxy.registry, layer).startswith("200 ")
        proxy.add("limit_data", bytes=1_000_000)
        assert ask(proxy.registry, layer) == "cut"
        assert ask(other.registry, layer).startswith("200 ")
        proxy.heal()
        assert ask(proxy.registry) == "401"
        proxy.down()
        assert ask(proxy.registry) == "failed"
        assert pull(proxy.registry).returncode != 0
    assert_no_trace(proxy.registry)
    assert_no_trace(other.registry)


def test_a_proxy_of_a_test_that_was_killed_is_taken_away() -> None:
    """The next command of ``./dev`` finds that nobody needs it any more."""
    registry = run_and_kill(FORGETFUL, NAME)
    subprocess.run([ROOT / "dev", "up"], check=True, capture_output=True)
    assert_no_trace(registry)
