"""Scheduling of tests over processes, and random choices that can be repeated."""

import json
import os
import random
import secrets
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

from tests.sandbox import cache

ENGINE: Final = tuple(Path(__file__).parent / name for name in ("engine", "clients"))
#: Tests that need the sandbox for themselves, since they break what others use: one process runs all of them.
ALONE: Final = "tests/engine/alone/"
#: Tests that share a login node and what was pulled there.
CLIENTS: Final = "tests/clients/"
#: Seconds of each file, when it last ran beside others on this machine.
TOOK: Final = "seconds-of-tests.json"
#: Bytes of a file that take a second where nothing else is known of it, and the seconds of short files that take long.
BYTES: Final = 100
LONG: Final = {
    "tests/engine/test_interruptions.py": 300,
    "tests/engine/test_ml_platform.py": 400,
    "tests/engine/test_signing.py": 200,
    "tests/engine/test_tools.py": 170,
}
#: The engine is waited for most of the time, so that this many are worth their memory on two cores.
WORKERS: Final = 3

# A busy machine has no limit to how slow it is; and a failure shows how to draw its example again.
settings.register_profile("here", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("here")


class ByFile(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """One process a file, as what a module's tests share is made once; and one for all of a folder that shares more."""

    def _split_scope(self, nodeid: str) -> str:
        file = str(super()._split_scope(nodeid))
        return next((folder for folder in (ALONE, CLIENTS) if nodeid.startswith(folder)), file)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a test that drew something by chance draw the same again."""
    parser.addoption("--seed", type=int, help="of tests that draw by chance: a failed one shows its own")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByFile:
    """Hand out whole files, in the order of the collection."""
    config.option.loadscopereorder = False
    return ByFile(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """As many as the cores, or as wait for the engine."""
    return max(WORKERS, os.cpu_count() or 1) if config.option.numprocesses == "auto" else 1


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: WorkerController) -> None:
    """Give all processes the same seconds, since they have to agree on the order of tests."""
    node.workerinput["took"] = _took()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With several processes, begin with what takes longest, and let unit tests run beside those that are alone.

    No process shall begin with a long file when the others have nothing left to do.
    """
    if not hasattr(config, "workerinput"):
        return
    known: dict[str, float] = LONG | config.workerinput["took"]
    names = {item.path: item.nodeid.partition("::")[0] for item in items}
    seconds = {path: known.get(name, path.stat().st_size / BYTES) for path, name in names.items()}

    def turn(item: pytest.Item) -> tuple[bool, bool, bool, float, str]:
        engine, alone = any(map(item.path.is_relative_to, ENGINE)), item.nodeid.startswith(ALONE)
        return not engine, alone, not item.nodeid.startswith(CLIENTS), -seconds[item.path], str(item.path)

    items.sort(key=turn)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Keep the seconds of the files that several processes ran, for the order of the next time."""
    if getattr(config.option, "dist", "no") == "no":
        return
    took: dict[str, float] = {}
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    for report in reports:
        if isinstance(report, pytest.TestReport):
            name = report.nodeid.partition("::")[0]
            took[name] = took.get(name, 0) + report.duration
    cache.root().mkdir(parents=True, exist_ok=True)
    (cache.root() / TOOK).write_text(json.dumps(_took() | took, indent=1))


def _took() -> dict[str, float]:
    try:
        found: dict[str, float] = json.loads((cache.root() / TOOK).read_text())
    except (OSError, ValueError):
        return {}
    return found


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """A source of chance whose seed is shown with a failure; ``--seed`` gives it back."""
    given: int | None = request.config.getoption("--seed")
    seed = secrets.randbelow(2**32) if given is None else given
    print(f"drawn by chance; to draw the same again: ./dev test {request.node.nodeid} --seed {seed}")  # noqa: T201
    return random.Random(seed)  # noqa: S311  # no secret
