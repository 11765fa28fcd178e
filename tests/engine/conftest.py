"""A real engine for these tests: the Dagger CLI as a person types it, and checkouts to type it in."""

import fcntl
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import dagger
import pytest
import pytest_asyncio
import tomlkit
from dagger import dag

from pipeline.errors import PipelineError
from pipeline.git.upload_filter import LEFT_OUT
from pipeline.main import Pipeline
from tests.sandbox.state import current

ROOT = Path(__file__).parents[2]
#: The files that make a checkout a Dagger module.
MODULE = ("dagger.json", "pyproject.toml", "requirements.lock", "pipeline")
#: Seconds after which a call hangs: far more than any call takes on a slow machine.
PATIENCE = 900


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what stands in this folder: it needs the engine."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.engine)


#: A message of the pipeline: its sentence, and its code at the end.
CODED = re.compile(r"(?P<sentence>.*) \[(?P<code>[a-z-]+)\]")


@contextmanager
def share_sandbox(*, alone: bool = False) -> Iterator[None]:
    """Wait until the sandbox can be shared with the tests of other processes, or until this one has it to itself.

    Who waits for it alone keeps the next ones at the gate, so that its turn comes.
    """
    folder = current().folder
    with (folder / "gate.lock").open("w") as gate, (folder / "turn.lock").open("w") as taken:
        fcntl.flock(gate, fcntl.LOCK_EX)
        fcntl.flock(taken, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(gate, fcntl.LOCK_UN)
        yield


@pytest.fixture(scope="module", autouse=True)
def turn(request: pytest.FixtureRequest) -> Iterator[None]:
    """Share the sandbox with the files of other processes; those in ``alone`` wait until they have it to themselves."""
    with share_sandbox(alone=request.path.is_relative_to(Path(__file__).parent / "alone")):
        yield


class Checkout:
    """A checkout of this module with one image, in a folder that a test may change."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, text: str) -> None:
        """Write a file, and the folders on the way to it."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def read(self, name: str) -> str:
        """The text of a file."""
        return (self.path / name).read_text(encoding="utf-8")

    def add_environment(self, image: str = "small", *, of: str = "small", end: str = "") -> None:
        """Write the manifest and the lock that the sandbox has for an image.

        Engines before v0.21 give a session files of another one where the two are equal, and lose them when that other
        one ends ("module not found"). Sessions of one process follow one another, so it suffices that no other process
        has these files.

        Args:
            image: the folder that gets them.
            of: the image in the sandbox.
            end: is added to the manifest.
        """
        mine = f"# {os.environ.get('PYTEST_XDIST_WORKER', 'alone')}\n"
        for name, more in {"pixi.toml": mine + end, "pixi.lock": mine}.items():
            text = (current().folder / "overlay" / of / name).read_text(encoding="utf-8")
            self.write(f"{image}/{name}", text + more)

    def set(self, **settings: object) -> None:
        """Change settings of the checkout."""
        file = self.path / "images.toml"
        values = tomlkit.parse(file.read_text()) if file.exists() else tomlkit.document()
        file.write_text(tomlkit.dumps(values | settings))

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Type ``dagger call ARGUMENTS`` in this checkout, and wait for its end."""
        return self.dagger("call", *arguments)

    def dagger(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Type ``dagger ARGUMENTS`` in this checkout, and wait for its end."""
        # What ``./dev`` adds to the CLI, it adds for its own checkout alone; it takes half a second of each call.
        command = [str(ROOT / "dev"), "dagger"] if self.path == ROOT else ["dagger"]
        return subprocess.run(
            [*command, "--progress=plain", *arguments],
            cwd=self.path,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    def refusal(self, *arguments: str) -> str:
        """The sentence that :meth:`call` ends with, which must fail and show no traceback."""
        ended = self.call(*arguments)
        assert ended.returncode != 0, ended.stdout
        assert "Traceback" not in ended.stderr
        return sentence(ended.stderr)


def sentence(output: str) -> str:
    """The error message at the end of a failed call's output."""
    failures = [line for line in output.splitlines() if "FunctionError:" in line]
    assert failures, output
    message = re.sub(r" \[traceparent:[^\]]*\]$", "", failures[-1].partition("FunctionError:")[2].strip())
    coded = CODED.fullmatch(message)
    assert coded, message
    return coded["sentence"]


def inside(*command: str) -> None:
    """Run a command in the sandbox's machine."""
    subprocess.run([str(ROOT / "dev"), "exec", *command], check=True, capture_output=True, timeout=PATIENCE)


def copy_module(target: Path, names: Sequence[str] = MODULE) -> None:
    """Copy what makes this repository a Dagger module."""
    target.mkdir(parents=True, exist_ok=True)
    for name in names:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    project = target / "pyproject.toml"
    text = project.read_text()
    settings = tomllib.loads(text)["tool"]["pipeline"]
    # In a file that is no part of the module: the engine installs a module again for each other pyproject.toml.
    project.write_text(re.sub(r"(?ms)^\[tool\.pipeline\]$.*?(?=^\[)", "", text))
    # The sandbox solves in seconds, and its pixi hangs now and then: less is lost than with the time for real channels.
    Checkout(target).set(**settings, solve_timeout=30)


#: Calls before a function in a chain, such as a login.
type Before = Callable[[Pipeline], Pipeline]


async def answer(  # each function returns something else
    checkout: Checkout, function: str, /, before: Before | None = None, **arguments: object
) -> Any:  # noqa: ANN401
    """The result of a function of the module, called in this process on the real engine: there has to be a session.

    Nothing is left out but the CLI, which loads the module and starts a container for it: seconds that a test of what
    the function says does not need. One test a function types it in a shell. What the module asks without the engine
    (`lock` with `check`) needs :func:`tests.engine.network.names_reached`.

    Args:
        checkout: what the function is called on.
        function: its name in Python.
        before: what stands before it in the chain. The engine keeps a login until the end of :func:`a_session`.
        arguments: the function's own.
    """
    source = dag.host().directory(str(checkout.path), exclude=[*LEFT_OUT], no_cache=True)
    pipeline = Pipeline(source=source)  # type: ignore[call-arg]  # made by dagger
    return await getattr(before(pipeline) if before else pipeline, function)(**arguments)


async def apply(checkout: Checkout, function: str, /, before: Before | None = None, **arguments: object) -> None:
    """Write the changes that :func:`answer` returns into the checkout, as the CLI does with ``--auto-apply``."""
    await (await answer(checkout, function, before, **arguments)).export(str(checkout.path))


async def failure(
    checkout: Checkout, function: str, /, before: Before | None = None, **arguments: object
) -> PipelineError:
    """The error that :func:`answer` fails with."""
    with pytest.raises(PipelineError) as caught:
        await answer(checkout, function, before, **arguments)
    return caught.value


async def refused(checkout: Checkout, function: str, /, before: Before | None = None, **arguments: object) -> str:
    """The sentence that :func:`answer` fails with, without its code and a report that may follow."""
    error = await failure(checkout, function, before, **arguments)
    coded = CODED.fullmatch(str(error).partition("\n")[0])
    assert coded, error
    return coded["sentence"]


@asynccontextmanager
async def a_session(log: Path | None = None) -> AsyncIterator[None]:
    """A session with the engine, whose progress goes to a file.

    The SDK would give it a pipe that nobody reads, and the session stops for ever when that is full.

    Args:
        log: the file that its progress is added to, as the CLI shows it; none where nobody reads it.
    """
    with pytest.MonkeyPatch.context() as patch, (log or Path(os.devnull)).open("a") as output:
        if log is None:
            # At the end alone: drawn all the time, that of a long session takes a minute of a core.
            patch.setenv("DAGGER_PROGRESS", "report")
        async with dagger.connection(dagger.Config(log_output=output)):
            patch.undo()
            yield


@pytest.fixture
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file for the progress of :func:`a_session`, outside of the checkout."""
    return tmp_path_factory.mktemp("log") / "session"


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A checkout with the image ``small``: Python and nothing else."""
    copy_module(tmp_path)
    made = Checkout(tmp_path)
    made.write("small/image.toml", 'description = "A small image"\n')
    made.add_environment()
    return made


@pytest.fixture(scope="session")
def repository() -> Checkout:
    """This very checkout, whose manifest and lock of ml_platform `./dev` replaces for the engine."""
    assert "_EXPERIMENTAL_DAGGER_RUNNER_HOST" in os.environ, "run these tests with ./dev test"
    return Checkout(ROOT)


# One a module: tests that open and close sessions of their own end the one that is open.
@pytest_asyncio.fixture(scope="module")
async def connection() -> AsyncIterator[None]:
    """A session with the engine, for tests that ask it through the SDK."""
    async with a_session():
        yield
