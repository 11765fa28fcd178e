"""Probes on the engine: whatever one of them does, all are reported, each with its own end."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from pipeline.errors import PipelineError
from pipeline.output.formats import ResultFormat
from tests.engine.conftest import Checkout, answer, copy_module

SITE_PACKAGES = "/app/.pixi/envs/default/lib/python3.12/site-packages"
#: The time limit of what hangs, in seconds.
LIMIT = 20

IMAGE = f"""
description = "A small image with probes of every kind"

[probes]
imports = ["json", "nowhere", "crashes", "hangs"]
timeout = {LIMIT}

[[probes.commands]]
command = ["python", "--version"]
stdout_matches = '^Python 3\\.12'

[[probes.commands]]
name = "another exit code"
command = ["sh", "-c", "exit 3"]
exit_code = 3

[[probes.commands]]
name = "wrong exit code"
command = ["sh", "-c", "exit 3"]
exit_code = 4

[[probes.commands]]
name = "hangs"
command = ["sh", "-c", "echo working; sleep 1000"]
timeout = 2

[[probes.commands]]
name = "crashes"
command = ["sh", "-c", "kill -SEGV $$"]

[[probes.commands]]
command = ["nowhere"]

[[probes.commands]]
name = "wrong text"
command = ["id", "-u"]
user = "12345"
stdout_matches = "^0$"

[[probes.commands]]
name = "not through the entrypoint"
command = ["sh", "-c", "cat /proc/$PPID/cmdline | tr '\\\\0' ' '"]
entrypoint = false
stdout_matches = "^sh /probe/limit.sh"

[[probes.files]]
path = "/workspace"
kind = "folder"
mode = "1777"
owner = "root"

[[probes.files]]
path = "/app/entrypoint.sh"
mode = "0755"
matches = '^exec "\\$@"$'

[[probes.files]]
path = "/nowhere"

[[probes.servers]]
name = "answers"
command = ["python", "-m", "http.server", "8000"]
port = 8000
user = "12345"
timeout = 300
body_matches = "entrypoint.sh"

[[probes.servers]]
name = "another page"
command = ["python", "-m", "http.server", "8000"]
port = 8000
user = "12345"
timeout = 300
path = "/nowhere"

[[probes.servers]]
name = "does not listen"
command = ["python", "-m", "http.server", "8001"]
port = 8000
timeout = 3

[[probes.servers]]
name = "ends"
command = ["sh", "-c", "echo no configuration >&2; exit 2"]
port = 8000

[[files]]
source = "crashes.py"
path = "{SITE_PACKAGES}/crashes.py"

[[files]]
source = "hangs.py"
path = "{SITE_PACKAGES}/hangs.py"
"""

#: The result of each: the failure, and a part of the output that is kept.
ENDS = [
    ("script python", "", ""),
    ("import json", "", ""),
    ("import nowhere", "failed: ModuleNotFoundError: No module named 'nowhere'", "Traceback"),
    ("import crashes", "was killed by signal 11 (SIGSEGV)", "going"),
    ("import hangs", f"did not end within {LIMIT} s", "waiting"),
    ("command python --version", "", ""),
    ("command another exit code", "", ""),
    ("command wrong exit code", "exited with 3 instead of 4", ""),
    ("command hangs", "did not end within 2 s", "working"),
    ("command crashes", "was killed by signal 11 (SIGSEGV)", ""),
    ("command nowhere", "exited with 127 (a command was not found)", "not found"),
    ("command wrong text", "does not satisfy 'stdout_matches': '^0$' is not in what it printed", "12345"),
    ("command not through the entrypoint", "", ""),
    ("file /workspace", "", ""),
    ("file /app/entrypoint.sh", "", ""),
    ("file /nowhere", "is not there", ""),
    ("server answers", "", ""),
    ("server another page", "answered /nowhere with 404 instead of 200", "File not found"),
    ("server does not listen", "did not answer on port 8000 within 3 s", ""),
    ("server ends", "exited with 2", "no configuration"),
]

#: An image that has neither pixi nor Python.
BARE = """
description = "A small image that a Dockerfile makes"
dockerfile = "Dockerfile"

[probes]
scripts = []

[[probes.commands]]
command = ["cat", "/greeting"]
stdout_matches = "hello"

[[probes.files]]
path = "/greeting"
"""
DOCKERFILE = """
FROM ghcr.io/prefix-dev/pixi:noble-cuda-13.0.0
RUN echo hello > /greeting
"""


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout with an image whose probes do what they like, and one without Python."""
    made = Checkout(tmp_path_factory.mktemp("checkout"))
    copy_module(made.path)
    made.write("small/image.toml", IMAGE)
    made.write("small/crashes.py", "import ctypes\nprint('going', flush=True)\nctypes.string_at(0)\n")
    made.write("small/hangs.py", "import time\nprint('waiting', flush=True)\ntime.sleep(1000)\n")
    made.add_environment()
    made.write("bare/image.toml", BARE)
    made.write("bare/Dockerfile", DOCKERFILE)
    return made


@pytest.fixture(scope="module")
def results(images: Checkout, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The results of the probes, by kind and name: from a file, as CI keeps it."""
    file: Path = tmp_path_factory.mktemp("report") / "report.json"
    # Typed: servers are asked from the module's own container, and this process does not reach them.
    ended = images.call("smoke-report", "--image", "small", "--format", "json", "export", "--path", str(file))
    assert ended.returncode == 0, ended.stderr
    report = json.loads(file.read_text())
    assert report["passed"] is False
    return {f"{result['kind']} {result['name']}": result for result in report["results"]}


@pytest.mark.parametrize(("probe", "failure", "output"), ENDS)
def test_each_probe_has_its_own_end(results: dict[str, dict[str, Any]], probe: str, failure: str, output: str) -> None:
    """A crash, a timeout or a wrong output is reported as such, with the end of the output, and hides nothing else."""
    result = results[probe]
    assert result["failure"] == failure
    assert output in result["output"]


def test_every_probe_is_reported(results: dict[str, dict[str, Any]]) -> None:
    """There is a result for each probe, and for nothing else."""
    assert list(results) == [probe for probe, _, _ in ENDS]


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_a_failed_smoke_test_has_its_report(images: Checkout) -> None:
    """The sentence says what failed, and the report follows in the format that was asked for."""
    images.write("bare/image.toml", BARE.replace("scripts = []", 'scripts = ["python"]\nimports = ["json"]'))
    with pytest.raises(PipelineError) as caught:
        await answer(images, "smoke_test", image="bare", format=ResultFormat.MARKDOWN)
    sentence, _, report = str(caught.value).partition("\n")
    needs = "needs python3, which the image does not have; take it out of '{}' of [probes], or add Python"
    assert sentence.startswith("2 of 4 probes failed (bare: python " + needs.format("scripts"))
    assert "bare: import json " + needs.format("imports") in sentence
    assert "**2 of 4 probes passed**" in report


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_an_image_without_python_is_probed(images: Checkout) -> None:
    """Commands and files need no more than a shell; the report is JUnit's where no format is asked for."""
    images.write("bare/image.toml", BARE)
    report = await answer(images, "smoke_report", image="bare")
    suites = ET.fromstring(await report.contents())  # noqa: S314  # our own
    assert (suites.get("tests"), suites.get("failures")) == ("2", "0")
    assert [case.get("name") for case in suites.iter("testcase")] == ["cat /greeting", "/greeting"]


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_an_image_that_is_not_built_is_in_the_report(images: Checkout) -> None:
    """A report is made of what there is, and says of the rest why it is not there."""
    images.write("bare/Dockerfile", DOCKERFILE.replace("echo", "nowhere"))
    report = await answer(images, "smoke_report", image="bare", format=ResultFormat.JSON)
    (missing,) = json.loads(await report.contents())["not_built"]
    assert missing["reason"].startswith("bare: bare/Dockerfile was not built: ")
