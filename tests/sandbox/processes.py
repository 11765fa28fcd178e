"""The sandbox's processes: started apart from the terminal, and known again by process id *and* start time."""

import json
import os
import select
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

import psutil

from tests.sandbox.errors import SandboxError

#: The environment of services; nothing of the person's own reaches them.
ENVIRONMENT: Final = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}

#: Mark of a killed process in the kernel's files: the signal is waiting for it, or it is exiting.
KILL_BIT: Final = 1 << (signal.SIGKILL - 1)
EXITING: Final = 0x4


@dataclass(frozen=True)
class Process:
    """A process that the sandbox started.

    Attributes:
        pid: process id as the host sees it.
        identity: boot id and start time, in clock ticks: another process never has both and the same id.
        since: when it was started, in seconds since 1970.
    """

    pid: int
    identity: str
    since: float

    @property
    def is_alive(self) -> bool:
        """Whether this very process still runs; one that ended but was not waited for does not."""
        return identity(self.pid) == self.identity

    @property
    def is_dying(self) -> bool:
        """Whether it was killed and is not gone yet: the first process of a machine waits for the others."""
        try:
            status = dict(line.split(":\t", 1) for line in Path(f"/proc/{self.pid}/status").read_text().splitlines())
            flags = int(Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[6])
        except (OSError, ValueError):
            return False
        pending = int(status["SigPnd"], 16) | int(status["ShdPnd"], 16)
        return self.is_alive and bool(pending & KILL_BIT or flags & EXITING)

    def stop(self, *, force: bool = False, patience: float = 10) -> None:
        """End the process, by force when it does not end by itself in ``patience`` seconds."""
        if not force:
            self._signal(signal.SIGTERM)
            if self._has_ended(patience):
                return
        self._signal(signal.SIGKILL)
        self._has_ended(5)

    def _signal(self, number: signal.Signals) -> None:
        try:
            # A descriptor of the process cannot come to mean another one between the look and the signal.
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            if self.is_alive:
                signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            pass
        finally:
            os.close(descriptor)

    def _has_ended(self, patience: float) -> bool:
        deadline = time.monotonic() + patience
        while self.is_alive:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    @classmethod
    def of(cls, pid: int) -> Self:
        """Note a process that runs now.

        Raises:
            ProcessLookupError: it has ended.
        """
        found = identity(pid)
        if found is None:
            raise ProcessLookupError(pid)
        return cls(pid, found, time.time())

    def save(self, file: Path) -> None:
        """Write the process down, whole or not at all."""
        half = file.with_suffix(".half")
        half.write_text(json.dumps(asdict(self)))
        half.rename(file)

    @classmethod
    def load(cls, file: Path) -> Self | None:
        """The process that was written down, if it still runs; None for a stale, damaged or missing file."""
        try:
            process = cls(**json.loads(file.read_text()))
        except (OSError, ValueError, TypeError):
            return None
        return process if process.is_alive else None


def identity(pid: int) -> str | None:
    """A mark that no later process of the same id has; None when it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    status, ticks = fields[0], fields[19]
    if status in "ZX":
        return None
    return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {ticks}"


def entering(machine: int) -> list[str]:
    """The command that runs what follows it inside the machine, as the process with this id sees it."""
    return ["nsenter", f"--target={machine}", "--mount", "--pid", "--net", "--ipc", "--uts", "--"]


def end_entering(machine: int) -> None:
    """Kill the commands of :func:`entering` for a machine that is about to end.

    A stopped one does not wait for its child, and a machine does not end before all its processes were waited for.
    """
    for process in psutil.process_iter(["cmdline"]):
        if (process.info["cmdline"] or [])[:2] == entering(machine)[:2]:
            with suppress(psutil.NoSuchProcess):
                process.kill()


def start(command: list[str], log: Path, *, forks: bool = False, environment: dict[str, str] | None = None) -> Process:
    """Start a process that outlives this one.

    Args:
        command: what to run.
        log: where its output is added.
        forks: the command only starts the process that is meant, as ``nsenter`` and ``unshare`` do.
        environment: added to :data:`ENVIRONMENT`.

    Raises:
        SandboxError: it ended at once.
    """
    with log.open("ab") as output:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=ENVIRONMENT | (environment or {}),
            start_new_session=True,
        )
    try:
        if not forks:
            return Process.of(child.pid)
        parent = psutil.Process(child.pid)
        while child.poll() is None:
            if found := parent.children():
                return Process.of(found[0].pid)
            time.sleep(0.002)
    except (psutil.NoSuchProcess, ProcessLookupError):
        pass
    raise SandboxError(f"{' '.join(command)} ended at once: {last_lines(log)}")


def outlives(server: Process | None, client: subprocess.Popen[bytes], *, grace: float) -> bool:
    """Wait for the end of a client, and return whether it came; False when its server ended and it goes on without.

    Args:
        server: what the client cannot do without; None when it is not there any more.
        client: waited for, and not ended here.
        grace: seconds that the client gets once the server has ended.
    """
    descriptors = [os.pidfd_open(client.pid)]
    with suppress(ProcessLookupError):
        if server is not None:
            descriptors.append(os.pidfd_open(server.pid))
    try:
        if server is not None and server.is_alive:
            select.select(descriptors, [], [])
        client.wait(grace)
    except subprocess.TimeoutExpired:
        return False
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    return True


def last_lines(log: Path, count: int = 15) -> str:
    """The end of a log, with its path, for a message."""
    try:
        lines = log.read_text(errors="replace").splitlines()[-count:]
    except OSError:
        lines = []
    return f"see {log}" + "".join(f"\n    {line}" for line in lines)
