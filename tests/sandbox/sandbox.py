"""The sandbox as a whole: brings up what is down, repairs what is broken, and reports its state."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from tests.sandbox import cache, contents, credentials, inventory, lifecycle, parts, services, tools
from tests.sandbox.errors import SandboxError
from tests.sandbox.machine import Machine
from tests.sandbox.parts import Parts
from tests.sandbox.processes import Process
from tests.sandbox.progress import Progress
from tests.sandbox.state import State, current

#: Without these two everything else in the machine is lost too.
MACHINE, NETWORK = "machine", "network"


@dataclass(frozen=True)
class Up:
    """A sandbox that runs.

    Attributes:
        state: its state folder.
        parts: what it was made from.
        instead: files that replace others of the checkout: path below the checkout -> file.
    """

    state: State
    parts: Parts
    instead: dict[Path, Path]

    @property
    def engine(self) -> Process | None:
        """The engine's process, or None when it is down."""
        return services.describe(self.state)[-1].process(self.state)

    def environment(self) -> dict[str, str]:
        """The variables that a client of the sandbox needs."""
        programs = self.parts.client.parent
        return {
            **services.client_environment(self.state),
            "_EXPERIMENTAL_DAGGER_CLI_BIN": str(self.parts.client),
            "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            **credentials.environment(credentials.ensure(self.state.secrets)),
        }


@dataclass(frozen=True)
class Line:
    """The state of one process of the sandbox."""

    name: str
    address: str
    pid: int | None
    since: float | None
    healthy: bool


@contextmanager
def _alone(progress: Progress) -> Iterator[None]:
    """Keep others from starting or stopping the sandbox meanwhile."""
    lock = FileLock(cache.root() / "sandbox.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress.say("sandbox: another ./dev is starting or stopping it; waiting …")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def up(progress: Progress) -> Up:
    """Make the missing parts, start what is down, and fill it; does nothing where nothing is missing.

    Raises:
        SandboxError: says what is missing or what did not start.
    """
    tools.check_host()
    state = current()
    cache.root().mkdir(parents=True, exist_ok=True)
    with _alone(progress):
        state.create()
        tools.install_packages(state.log / "host.log", progress.say)
        key = inventory.key()
        made = inventory.load(state, key)
        if made is None:
            made = parts.make_all(progress)
            inventory.save(state, key, made)
        there = Machine(state)
        lifecycle.start(there, made, progress)
        with progress.step("images"):
            contents.push_images(there, made, progress.say)
        with progress.step("lock"):
            instead = contents.make_locks(there, made, progress.say)
        return Up(state, made, instead)


def down(progress: Progress, *, delete: bool = False) -> None:
    """Stop everything, the engine first; with ``delete``, also remove what it kept. The cache stays."""
    state = current()
    cache.root().mkdir(parents=True, exist_ok=True)
    with _alone(progress):
        lifecycle.end(Machine(state))
        if delete:
            state.delete()


def stop(names: list[str], *, force: bool) -> None:
    """Stop single services, as a fault would; the next ``up`` starts them again.

    Args:
        names: as :func:`status` gives them.
        force: kill instead of asking.

    Raises:
        SandboxError: there is no such service.
    """
    state = current()
    there = Machine(state)
    known = {service.name: service for service in services.describe(state)}
    for name in names:
        if name not in known and name not in (MACHINE, NETWORK):
            everything = ", ".join([MACHINE, NETWORK, *known])
            raise SandboxError(f"There is no service {name} in the sandbox; there are {everything}.")
    for name in names:
        if name in known:
            known[name].stop(state, force=force)
            continue
        process = there.process if name == MACHINE else there.network
        if process is not None:
            process.stop(force=force)


def status() -> list[Line]:
    """The state of each process; a line each, whether it runs or not."""
    state = current()
    there = Machine(state)
    lines = [_line(MACHINE, "namespaces", there.process), _line(NETWORK, "10.0.2.0/24", there.network)]
    for service in services.describe(state):
        line = _line(service.name, service.address, service.process(state))
        lines.append(replace(line, healthy=service.is_healthy(there)))
    return lines


def _line(name: str, address: str, process: Process | None) -> Line:
    if process is None:
        return Line(name, address, pid=None, since=None, healthy=False)
    return Line(name, address, process.pid, process.since, healthy=True)
