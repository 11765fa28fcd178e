"""Trying again: with a program that answers as regctl does, and real processes."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.scripts import regctl
from pipeline.scripts.answers import Failure
from pipeline.scripts.messages import Kind
from pipeline.scripts.regctl import Client, Limits

#: Prints the lines of the n-th file of the scenario, and ends with the code in its first line.
PROGRAM = f"""#!{sys.executable} -S
import os, pathlib, sys, time
folder = pathlib.Path(__file__).parent
runs = folder / "runs"
number = len(runs.read_text()) if runs.exists() else 0
runs.write_text("." * (number + 1))
lines = (folder / f"{{min(number, len(list(folder.glob('*.lines'))) - 1)}}.lines").read_text().splitlines()
for line in lines[1:]:
    if line.startswith("sleep "):
        time.sleep(float(line[6:]))
    elif line == "places":
        print(os.environ.get("REGCTL_CONFIG"), os.environ.get("DOCKER_CONFIG"))
    elif line.startswith("give"):
        sys.stdout.write(line[5:] or sys.stdin.read())
    else:
        print(line, file=sys.stderr, flush=True)
(folder / "ended").touch()
sys.exit(int(lines[0]))
"""

LIMITS = Limits(timeout=5, tries=10, seconds=30)


def answered(status: int, *, after: int = 0) -> str:
    """A line of the log: a request, and the status of its answer."""
    headers = {"Retry-After": [str(after)]} if after else {}
    entry = {"req-method": "PUT", "req-url": "https://r/v2/x", "resp-status": f"{status} x", "resp-headers": headers}
    return json.dumps(entry)


type MakeClient = Callable[..., Client]


@pytest.fixture
def make_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeClient:
    """A client whose program does, run by run, what the scenario says; pauses are short."""
    monkeypatch.setattr(regctl, "PAUSE", 0.01)

    def make(*runs: tuple[str, ...], limits: Limits = LIMITS) -> Client:
        for number, lines in enumerate(runs):
            (tmp_path / f"{number}.lines").write_text("\n".join(lines))
        program = tmp_path / "regctl"
        program.write_text(PROGRAM)
        program.chmod(0o755)
        return Client(limits, program=str(program), name="r/x")

    return make


def test_a_success_is_one_try(make_client: MakeClient) -> None:
    """The answer has its output and its requests."""
    answer = make_client(("0", answered(201), "give fine")).run("tag", "ls")
    assert (answer.output, answer.tries, [request.status for request in answer.requests]) == (b"fine", 1, [201])


def test_what_is_given_is_read(make_client: MakeClient) -> None:
    """A password goes in as input, so no list of processes has it."""
    assert make_client(("0", "give")).run("registry", "login", stdin=b"secret").output == b"secret"


def test_without_credentials_no_file_has_any(make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """regctl looks for its own file and for Docker's, and finds neither; with credentials it has the usual ones."""
    monkeypatch.setenv("REGCTL_CONFIG", "/tmp/regctl.json")  # noqa: S108  # never opened
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    client = make_client(("0", "places"))
    assert client.run("manifest", "head").output.decode().split() == ["/tmp/regctl.json", "None"]  # noqa: S108
    own, docker = client.without_credentials().run("manifest", "head").output.decode().split()
    assert own == f"{docker}/regctl.json"
    assert docker != "None"
    assert not Path(docker).exists()


def test_a_question_that_may_remain_open_is_not_asked_for_long() -> None:
    """It is tried again, and less often than what has to be done."""
    limits = Client(Limits(timeout=120, tries=10, seconds=300)).without_credentials().limits
    assert limits == Limits(timeout=120, tries=3, seconds=30)
    assert Client(Limits(9, 2, 5)).without_credentials().limits == Limits(9, 2, 5)


def test_what_may_pass_is_tried_again(make_client: MakeClient, capsys: pytest.CaptureFixture[str]) -> None:
    """Two answers 503 and then a good one are three tries; each pause is printed."""
    busy = ("1", answered(503))
    answer = make_client(busy, busy, ("0", answered(200))).run("tag", "ls")
    assert answer.tries == 3
    messages = capsys.readouterr().err.splitlines()
    assert len(messages) == 2
    assert messages[0].startswith("r/x: it answered 503 (Service Unavailable) to PUT /v2/x; trying again in 0.0 s")


def test_what_cannot_pass_is_not_tried_again(make_client: MakeClient) -> None:
    """403 is final at once."""
    client = make_client(("1", answered(403)), ("0",))
    with pytest.raises(Failure, match="403") as caught:
        client.run("tag", "ls")
    assert (caught.value.kind, caught.value.tries) == (Kind.DENIED, 1)


def test_tries_have_a_limit(make_client: MakeClient, tmp_path: Path) -> None:
    """Requests that regctl repeats itself count: twice five tries are ten."""
    client = make_client(("1", *[answered(500)] * 5))
    with pytest.raises(Failure, match="500") as caught:
        client.run("tag", "ls")
    assert caught.value.tries == 10
    assert (tmp_path / "runs").read_text() == ".."


def test_the_time_has_a_limit(make_client: MakeClient) -> None:
    """No try begins later after the first failure than is allowed: the pauses before the last one are longer."""
    client = make_client(("1", answered(503)), limits=Limits(timeout=5, tries=9, seconds=0.5))
    with pytest.raises(Failure) as caught:
        client.run("tag", "ls")
    assert caught.value.tries < 9


def test_a_registry_says_how_long_to_wait(make_client: MakeClient) -> None:
    """The next try comes after Retry-After, not before."""
    client = make_client(("1", answered(429, after=1)), ("0",))
    started = time.monotonic()
    assert client.run("tag", "ls").tries == 2
    assert time.monotonic() - started >= 1


def test_a_wait_beyond_the_limit_ends_it(make_client: MakeClient, tmp_path: Path) -> None:
    """regctl would wait an hour where the registry says so; it is stopped."""
    client = make_client(("1", answered(429, after=3600), "sleep 60"))
    with pytest.raises(Failure, match="429") as caught:
        client.run("tag", "ls")
    assert caught.value.kind is Kind.TRANSIENT
    assert not (tmp_path / "ended").exists()


def test_a_wait_is_no_silence(make_client: MakeClient) -> None:
    """While it waits as long as the registry demands, nothing moves, and that is right."""
    client = make_client(
        ("0", answered(429, after=20), "sleep 2.2", answered(200)), limits=Limits(timeout=2, tries=10, seconds=30)
    )
    assert client.run("tag", "ls").tries == 2


def test_a_long_upload_is_no_failure(make_client: MakeClient) -> None:
    """The limit on the time is one on trying again: what goes on goes on."""
    parts = [part for _ in range(4) for part in ("sleep 0.2", answered(202))]
    limits = Limits(timeout=5, tries=10, seconds=0.3)
    assert make_client(("0", *parts), limits=limits).run("image", "copy").tries == 1


def test_silence_ends(make_client: MakeClient, tmp_path: Path) -> None:
    """A registry that says nothing and takes nothing is given up after its time."""
    client = make_client(("0", "sleep 60"), limits=Limits(timeout=0.2, tries=2, seconds=30))
    with pytest.raises(Failure, match=r"it did not answer within 0.2 s") as caught:
        client.run("tag", "ls")
    assert (caught.value.kind, caught.value.tries) == (Kind.TRANSIENT, 2)
    assert not (tmp_path / "ended").exists()


def test_the_script_has_the_versions_of_the_module() -> None:
    """Its requirements are pinned by the same lock as the module's."""
    root = Path(__file__).parents[3]
    lines = (root / "pipeline/scripts/registry.lock").read_text().splitlines()[1:]
    assert "\n".join(lines) in (root / "requirements.lock").read_text()


@pytest.mark.parametrize("length", [1, 1_000_000])
def test_a_program_that_does_not_read_gives_its_own_reason(tmp_path: Path, length: int) -> None:
    """It may end before it has read its input, as it does for a wrong option: a broken pipe is no reason."""
    program = tmp_path / "regctl"
    program.write_text("#!/bin/sh\nexec 0<&-\necho 'unknown flag: --pass-stdin' >&2\nsleep 0.1\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(Failure, match=r"^unknown flag: --pass-stdin$"):
        Client(LIMITS, program=str(program)).run("registry", "login", stdin=b"x" * length)
