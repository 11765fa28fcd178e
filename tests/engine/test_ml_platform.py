"""The main job, as a newcomer types it: the image is built, tested, and looked around in."""

import csv
import io
from typing import Final

import pytest

from tests.engine.conftest import Checkout, answer
from tests.engine.inside import ANYBODY, WRITABLE, read_only

#: Starts a JupyterLab, asks it for its page and for a kernel, and waits until the kernel is ready for work.
JUPYTER: Final = """
import asyncio, json, pathlib, subprocess, time, urllib.request
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

HEADERS = {"Authorization": "token probe"}

def ask(path, data=None):
    request = urllib.request.Request(f"http://127.0.0.1:8899{path}", data, HEADERS)
    with urllib.request.urlopen(request, timeout=240) as answer:
        return answer.read().decode()

def wait_for_page():
    while server.poll() is None:
        try:
            return ask("/lab")
        except ConnectionError:
            pass
        except OSError as error:
            if not isinstance(getattr(error, "reason", None), ConnectionError):
                raise
        time.sleep(0.5)
    raise SystemExit(pathlib.Path("/tmp/jupyter.log").read_text())

async def wait_for_kernel(kernel):
    request = HTTPRequest(f"ws://127.0.0.1:8899/api/kernels/{kernel}/channels", headers=HEADERS)
    socket = await websocket_connect(request)
    state = ""
    while state != "idle":
        state = json.loads(await socket.read_message())["content"].get("execution_state", state)
    return state

command = ["/usr/local/bin/start-jupyter", "8899", "--IdentityProvider.token=probe"]
with open("/tmp/jupyter.log", "w") as log:
    server = subprocess.Popen(command, stdout=log, stderr=log)
assert "JupyterLab" in wait_for_page()
assert json.loads(ask("/api/contents"))["type"] == "directory"
kernel = json.loads(ask("/api/kernels", b"{}"))["id"]
assert asyncio.run(asyncio.wait_for(wait_for_kernel(kernel), 120)) == "idle"
print("JupyterLab and a kernel are ready")
server.terminate()
"""


def test_the_image_runs_the_locked_python(repository: Checkout) -> None:
    """`build` builds the whole image; a command in it gets the environment's Python, without an entrypoint."""
    ended = repository.call(
        "build", "--image", "ml_platform", "with-exec", "--args", "python,--version", "stdout"
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("Python 3.12.")


def test_jupyterlab_starts_for_everybody(repository: Checkout) -> None:
    """A user that nobody knows, without a home, gets JupyterLab and a kernel over HTTP where nothing can be written to.

    The folders of Jupyter are writable where a person mounts them so (Docker); elsewhere /tmp will do (Apptainer).
    For root, and where variables are ignored, the start script finds the environment by itself, and does not ask for
    permission. The first that fails ends the call.
    """
    anybody = ["timeout", "300", "python", "-c", JUPYTER]
    commands = [read_only(ANYBODY, *anybody, writable=writable) for writable in (WRITABLE, ["/tmp"])]  # noqa: S108
    commands.append(["env", "-i", "timeout", "300", "/app/.pixi/envs/ml/bin/python", "-c", JUPYTER])
    # Typed, all of them in one call: for a build of this process, the engine would install the image once more.
    execute = [
        word
        for command in commands
        for word in ("with-exec", "--insecure-root-capabilities", f"--args={as_list(command)}")
    ]
    ended = repository.call("build", "--image", "ml_platform", "with-user", "--name=root", *execute, "stdout")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "JupyterLab and a kernel are ready\n"


def as_list(words: list[str]) -> str:
    """A list, as the CLI reads it: a line of CSV."""
    line = io.StringIO()
    csv.writer(line, quoting=csv.QUOTE_ALL, lineterminator="").writerow(words)
    return line.getvalue()


def test_everything_starts(repository: Checkout) -> None:
    """The smoke test prints the versions of Python, ROOT and TensorFlow, and that there is no GPU here."""
    ended = repository.call("smoke-test", "--image", "ml_platform")
    assert ended.returncode == 0, ended.stderr
    table = ended.stdout
    assert "no GPU found" in table
    assert "CUDA build" in table
    for probe in ("python", "root", "tensorflow"):
        line = next(line for line in table.splitlines() if f" {probe} " in line)
        assert "passed" in line
    assert "3.12." in table


def test_a_missing_gpu_fails_when_it_is_asked_for(repository: Checkout) -> None:
    """With --gpu, an engine without GPUs is reported in one sentence."""
    message = repository.refusal("smoke-test", "--image", "ml_platform", "--gpu")
    assert message == (
        "1 of 22 probes failed (ml_platform: tensorflow could not be given a GPU by the engine; "
        "docs/gpus.md lists what it needs)"
    )


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_the_images_are_listed(repository: Checkout) -> None:
    """`images` has a line an image."""
    lines = (await answer(repository, "images")).splitlines()
    assert [line.split("  ")[0] for line in lines] == ["columnar", "ml_platform"]
    assert lines[1].startswith("ml_platform  Machine learning")


def test_everything_is_explained(repository: Checkout) -> None:
    """`--help` of each function has its own line and one an argument."""
    listed = repository.call("--help")
    assert "Build an image, and return it as a container" in listed.stdout
    for function, arguments in {"build": ["--image"], "smoke-test": ["--gpu", "--image"]}.items():
        explained = repository.call(function, "--help").stdout
        for argument in arguments:
            line = next(line for line in explained.splitlines() if argument in line and "[" not in line.split("--")[0])
            assert len(line.split()) > 4, line
