"""The tools that fault tests use: a proxy stands in front of a registry for everybody, and leaves no trace."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.engine.conftest import PATIENCE, ROOT
from tests.sandbox import faults, sigstore
from tests.sandbox.errors import SandboxError
from tests.sandbox.hosts import registry
from tests.sandbox.machine import Machine
from tests.sandbox.proxies import PORT
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
from tests.sandbox import faults, sigstore
with faults.toxiproxy(sys.argv[1]) as proxy:
    proxy.down()
    print("down", flush=True)
    time.sleep(600)
"""

#: A test that is killed while it has a Sigstore, in the folder that it is given.
STANDING = """
import sys, time
from pathlib import Path
from tests.sandbox import sigstore
with sigstore.standing(Path(sys.argv[1])):
    print("up", flush=True)
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


def ask(path: str) -> str:
    """A container's result of a request to the registry: a status and a length, ``cut`` or ``failed``."""
    command = json.dumps(["python3", "-c", ASK, f"https://{NAME}{path}", str(time.time_ns())])
    ended = query(
        f'{{ container {{ from(address: "python:3.13-slim") {{ withExec(args: {command}) {{ stdout }} }} }} }}'
    )
    assert ended.returncode == 0, ended.stderr
    return str(json.loads(ended.stdout)["container"]["from"]["withExec"]["stdout"]).strip()


def pull() -> subprocess.CompletedProcess[str]:
    """Let the engine itself look for an image."""
    return query('{ container { from(address: "ghcr.io/prefix-dev/pixi:noble") { user } } }')


def big_blob() -> str:
    """The path of a layer of some megabytes: one of this repository, since others have not the right to hand it out."""
    storage = current().registry / NAME / "docker/registry/v2"
    layers = (storage / "repositories/prefix-dev/pixi/_layers/sha256").iterdir()
    blobs = [storage / "blobs/sha256" / layer.name[:2] / layer.name / "data" for layer in layers]
    biggest = max(blobs, key=lambda file: file.stat().st_size)
    return f"/v2/prefix-dev/pixi/blobs/sha256:{biggest.parent.name}"


def rules() -> str:
    """All rules of the machine's network that lead elsewhere."""
    done = subprocess.run(
        Machine(current()).command(["iptables", "-w", "-t", "nat", "-S"]), capture_output=True, text=True, check=True
    )
    return done.stdout


def assert_no_trace() -> None:
    """Neither rule nor listener nor note is left."""
    assert f":{PORT}" not in rules()
    assert not Machine(current()).listens(registry(NAME).address, PORT)
    assert not list(current().run.glob("proxy-*"))


def test_a_registry_answers_as_a_script_wants(tmp_path: Path) -> None:
    """Containers and the engine get 503 where the script says so, all else passes, and then it is as before."""
    script = tmp_path / "busy.py"
    script.write_text(ADDON)
    layer = big_blob()
    assert pull().returncode == 0
    with faults.mitmproxy(NAME, script) as log:
        assert ask("/v2/") == "503"
        assert ask(layer).startswith("200 ")
        refused = pull()
        assert refused.returncode != 0
        assert "503 Service Unavailable" in refused.stderr
        assert "503" in log.read_text()
    assert ask("/v2/") == "401"
    assert pull().returncode == 0
    assert_no_trace()


def test_a_connection_is_cut() -> None:
    """In the middle of a layer, then before any byte of the answer; healed, it passes; and then it is as before."""
    layer = big_blob()
    with faults.toxiproxy(NAME) as proxy:
        assert ask(layer).startswith("200 ")
        proxy.add("limit_data", bytes=1_000_000)
        assert ask(layer) == "cut"
        proxy.heal()
        assert ask("/v2/") == "401"
        proxy.down()
        assert ask("/v2/") == "failed"
        assert pull().returncode != 0
    assert ask("/v2/") == "401"
    assert pull().returncode == 0
    assert_no_trace()


def kill_a_test(script: str, argument: str, expected: str) -> None:
    """Run a test, and kill it as soon as it has printed a line."""
    with subprocess.Popen(
        [sys.executable, "-P", "-c", script, argument],
        cwd="/",
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as test:
        assert test.stdout is not None
        assert test.stdout.readline() == f"{expected}\n"
        test.kill()


def test_a_proxy_of_a_test_that_was_killed_is_taken_away() -> None:
    """The next command of ``./dev`` finds that nobody needs it any more."""
    kill_a_test(FORGETFUL, NAME, "down")
    assert ask("/v2/") == "failed"
    subprocess.run([ROOT / "dev", "up"], check=True, capture_output=True)
    assert ask("/v2/") == "401"
    assert_no_trace()


def test_a_sigstore_of_a_test_that_was_killed_makes_room_for_another(tmp_path: Path) -> None:
    """All of its processes are ended, and none stays behind in the end."""
    kill_a_test(STANDING, str(tmp_path / "first"), "up")
    ports = (sigstore.ISSUER, sigstore.FULCIO, sigstore.CT_LOG, sigstore.REKOR, sigstore.TIMESTAMPS)
    machine = Machine(current())
    assert [machine.listens(sigstore.HOST.address, port) for port in ports] == [True] * 5
    with sigstore.standing(tmp_path / "second") as standing:
        assert standing.trusted_root.stat().st_size > 0
    assert [machine.listens(sigstore.HOST.address, port) for port in ports] == [False] * 5
    assert_no_trace()


def test_two_proxies_do_not_stand_in_front_of_one_registry() -> None:
    """The second one is refused, and the first one stays."""
    with faults.toxiproxy(NAME):
        with (
            pytest.raises(SandboxError, match=r"Another test has ghcr\.io in use"),
            faults.toxiproxy(NAME),
        ):
            pass
        assert Machine(current()).listens(registry(NAME).address, PORT)
    assert_no_trace()
