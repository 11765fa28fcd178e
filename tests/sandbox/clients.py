"""A login node of a site: real Apptainer and Podman, and an ordinary user, who reaches the registries by their names.

It is made when a test first asks for it. Debian's stable release has all but Apptainer, which Debian has in its
unstable suite alone: that package needs nothing else from there.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from tests.sandbox import cache, kept, processes, tools
from tests.sandbox.errors import SandboxError
from tests.sandbox.machine import Machine
from tests.sandbox.processes import Process
from tests.sandbox.state import State, current

SUITE: Final = "trixie"
PACKAGES: Final = (
    "apptainer",
    "ca-certificates",
    "crun",
    "curl",
    "fuse-overlayfs",
    "passt",  # codespell:ignore passt
    "podman",
    "squashfuse",
    "tini",
    "uidmap",
)
#: Of the unstable suite no package is taken that the stable one has.
PREFERENCES: Final = r"Package: *\nPin: release n=sid\nPin-Priority: 100\n"
LEFT_OUT: Final = ("/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/man/*")
#: Compressing a SIF file takes minutes on two cores, and says nothing of the image: with :data:`FAST` before the other
#: folders of PATH, Apptainer finds a mksquashfs that takes lz4 for gzip.
FAST: Final = "/usr/local/libexec/fast"
MKSQUASHFS: Final = Path(__file__).with_name("mksquashfs.sh")
OPTIONS: Final = (
    "--mode=root",
    "--variant=minbase",
    "--format=directory",
    "--dpkgopt=force-unsafe-io",
    *(f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT),
    # A mirror that keeps that suite as it was on one day has an index of that day.
    '--aptopt=Acquire::Check-Valid-Until "false"',
    f"--setup-hook=printf '{PREFERENCES}' > \"$1/etc/apt/preferences.d/sid\"",
)
MIRROR: Final = "http://deb.debian.org/debian"
SOURCES: Final = tuple(f"deb {MIRROR} {suite} main" for suite in (SUITE, "sid"))

SCRIPT: Final = Path(__file__).with_name("clients.sh")
PATIENCE: Final = 30
#: The ordinary user's number, and a home as the user sees it.
USER: Final = 1000
HOME: Final = "/home/user"
PATH: Final = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"


@dataclass(frozen=True)
class Clients:
    """A login node that is up.

    Attributes:
        pid: its first process, as the host sees it.
        home: the user's home, as the host sees it.
    """

    pid: int
    home: Path

    def command(
        self, *command: str, user: int = USER, folder: str = HOME, environment: Mapping[str, str] | None = None
    ) -> list[str]:
        """The command that runs another one there.

        Args:
            command: what to run.
            user: its number, and that of its group; all but :data:`USER` and root are unknown there.
            folder: where to run it.
            environment: added to that of a new login.
        """
        homes = {USER: HOME, 0: "/root"}
        variables = {"HOME": homes.get(user, "/"), "PATH": PATH, "LANG": "C.UTF-8"}
        if user == USER:
            variables |= {"USER": "user", "LOGNAME": "user", "XDG_RUNTIME_DIR": f"/run/user/{user}"}
        settings = [f"{name}={value}" for name, value in (variables | dict(environment or {})).items()]
        namespaces = ["nsenter", f"--target={self.pid}", "--mount", "--pid", "--net", "--ipc", "--"]
        somebody = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--inh-caps=-all"]
        return [*namespaces, *(somebody if user else []), "env", "-i", f"--chdir={folder}", *settings, *command]

    def attempt(
        self, *command: str, user: int = USER, folder: str = HOME, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command there to its end, which may be a failure."""
        return subprocess.run(
            self.command(*command, user=user, folder=folder, environment=environment),
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=processes.ENVIRONMENT,
        )

    def run(
        self, *command: str, user: int = USER, folder: str = HOME, environment: Mapping[str, str] | None = None
    ) -> str:
        """Run a command there, and return its output.

        Raises:
            AssertionError: it failed; with all that it printed.
        """
        ended = self.attempt(*command, user=user, folder=folder, environment=environment)
        assert ended.returncode == 0, f"{' '.join(command)}: {ended.stdout}\n{ended.stderr}"
        return ended.stdout.strip()


def root(say: Callable[[str], None]) -> Path:
    """The root file system of a login node, made where it is missing.

    Raises:
        SandboxError: Debian's package archive cannot be reached, or has no such package any more.
    """

    def make(part: Path) -> None:
        log = cache.root() / "sandbox" / "log" / "make-clients.log"
        log.unlink(missing_ok=True)
        say(f"clients: installing Apptainer and Podman from Debian, output in {log} …")
        hook = f'--customize-hook=install -D -m 0755 "{MKSQUASHFS}" "$1{FAST}/mksquashfs"'
        command = ["mmdebstrap", *OPTIONS, hook, f"--include={','.join(PACKAGES)}", SUITE, str(part), *SOURCES]
        tools.run(command, log, "Debian's package archive")

    return cache.ensure("clients", [SUITE, *PACKAGES, *OPTIONS, *SOURCES, MKSQUASHFS], make, say=say)


@contextmanager
def standing() -> Iterator[Clients]:
    """Let a login node be up, with a new home that goes with it.

    Raises:
        SandboxError: the machine is down, or the node's root cannot be made or does not start.
    """
    machine = Machine(current())
    there = root(_say)
    folder = _new_folder(machine.state)
    log = machine.state.log / "clients.log"
    namespaces = ["unshare", "--mount", "--propagation=private", "--pid", "--ipc", "--fork", "--kill-child"]
    with log.open("w") as output:
        command = [
            # It ends with the test, also where that is killed.
            *("setpriv", "--pdeathsig=KILL", "nsenter", f"--target={machine.pid}", "--net", "--"),
            *(*namespaces, "/bin/sh", str(SCRIPT)),
        ]
        settings = {"ROOT": str(there), "NODE": str(folder), "CONFIG": str(machine.state.config)}
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=processes.ENVIRONMENT | settings,
            start_new_session=True,
        )
    with child:
        try:
            yield Clients(_first_process(child, log), folder / "home")
        finally:
            child.kill()
    kept.remove(machine.state, folder)


def _first_process(child: subprocess.Popen[bytes], log: Path) -> int:
    """The node's first process, once it is up.

    Raises:
        SandboxError: it does not come up; with the end of its log.
    """
    deadline = time.monotonic() + PATIENCE
    while child.poll() is None and time.monotonic() < deadline:
        for found in psutil.Process(child.pid).children():
            if Path(f"/proc/{found.pid}/root/run/ready").exists():
                return found.pid
        time.sleep(0.01)
    child.kill()
    raise SandboxError(f"The login node with Apptainer and Podman did not start: {processes.last_lines(log)}")


def _new_folder(state: State) -> Path:
    """A new folder on the disk of the sandbox, which can hold overlays; those of tests that were killed are removed."""
    above = state.folder / "clients"
    above.mkdir(exist_ok=True)
    for left in above.iterdir():
        if Process.load(left / "owner.json") is None:
            kept.remove(state, left)
    folder = Path(tempfile.mkdtemp(dir=above))
    folder.chmod(0o755)
    Process.of(os.getpid()).save(folder / "owner.json")
    return folder


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
