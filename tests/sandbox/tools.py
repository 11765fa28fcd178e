"""Needs of the sandbox on the host: Linux, root, compilers; tools that are missing are installed there."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tests.sandbox.errors import SandboxError
from tests.sandbox.processes import last_lines

#: Debian packages that the host needs, each with a path that shows it is there.
PACKAGES: Final = {
    "mmdebstrap": "/usr/bin/mmdebstrap",
    "slirp4netns": "/usr/bin/slirp4netns",
    "debian-archive-keyring": "/usr/share/keyrings/debian-archive-keyring.gpg",
}

#: Words of compilers and installers that cannot reach where they download from.
UNREACHABLE: Final = (
    "dial tcp",
    "could not resolve host",
    "could not connect",
    "temporary failure resolving",
    "connection refused",
    "connection timed out",
    "network is unreachable",
    "tls handshake timeout",
    "certificate verify failed",
    "certificate signed by unknown authority",
    "failed to download",
    "unable to update registry",
    "unable to connect",
)


def check_host() -> None:
    """Check that a sandbox can run here at all.

    Raises:
        SandboxError: not Linux on x86-64, not root, or no namespaces.
    """
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        raise SandboxError(
            f"The sandbox runs on Linux on x86-64 and this is {sys.platform} on {os.uname().machine}; use such a "
            "machine or a virtual one, or run the unit tests alone: ./dev test tests/unit."
        )
    if os.geteuid() != 0:
        raise SandboxError("The sandbox mounts file systems, which only root may; run it again with sudo.")
    for tool, package in {"unshare": "util-linux", "nsenter": "util-linux", "mount": "mount"}.items():
        if shutil.which(tool) is None:
            raise SandboxError(f"The command {tool} is missing on this machine; install the package {package}.")


def require(command: str, remedy: str) -> str:
    """The path of a command.

    Raises:
        SandboxError: it is not on PATH; ends with the remedy.
    """
    found = shutil.which(command)
    if found is None:
        raise SandboxError(f"The command {command} is not on PATH, and the sandbox is built with it; {remedy}.")
    return found


def require_go() -> str:
    """The Go compiler, which the engine and other programs are built with."""
    return require("go", "install Go 1.26 or later and add its bin folder to PATH")


def require_cargo() -> str:
    """Rust's builder, which pixi is built with."""
    return require("cargo", "install Rust 1.80 or later and add its bin folder to PATH")


def install_packages(log: Path, say: Callable[[str], None], packages: Mapping[str, str] | None = None) -> None:
    """Install the Debian packages that the host lacks.

    Args:
        log: where apt-get's output goes.
        say: gets a line where something is done.
        packages: each with a path that shows it is there; those of the sandbox where none are given.

    Raises:
        SandboxError: they cannot be installed.
    """
    wanted = PACKAGES if packages is None else packages
    missing = [package for package, path in wanted.items() if not Path(path).exists()]
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise SandboxError(f"This machine has no {' and no '.join(missing)} and no apt-get to install it; install it.")
    say(f"host: installing {', '.join(missing)} with apt-get …")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    patient = ["apt-get", "--option=DPkg::Lock::Timeout=120"]
    # What an installation that was killed has left would stop every later one.
    run(["dpkg", "--configure", "-a"], log, "Debian's package archive", quiet)
    run([*patient, "update"], log, "Debian's package archive", quiet)
    run([*patient, "install", "--yes", "--no-install-recommends", *missing], log, "Debian's package archive", quiet)


def run(
    command: list[str],
    log: Path,
    registry: str,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> None:
    """Run a command that downloads, with its output in a log.

    Args:
        command: what to run.
        log: a new file, or one that is added to.
        registry: what it downloads from, for the message.
        environment: added to this process's.
        folder: where to run it.

    Raises:
        SandboxError: it failed: its log's last lines, and whether it could not reach what it downloads from.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    # Killing ./dev ends what it started, too.
    tied = ["setpriv", "--pdeathsig=TERM", *command] if shutil.which("setpriv") else command
    with log.open("ab") as output:
        ended = subprocess.run(
            tied,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            cwd=folder,
        )
    if ended.returncode == 0:
        return
    if is_unreachable(log.read_text(errors="replace")):
        raise SandboxError(
            f"{registry} cannot be reached from this machine, and the sandbox is built from it; check the network and "
            f"the proxy, then run this again: {last_lines(log)}"
        )
    raise SandboxError(f"{Path(command[0]).name} failed with exit code {ended.returncode}: {last_lines(log)}")


def is_unreachable(output: str) -> bool:
    """Whether the end of a command's output speaks of a network that does not work."""
    return any(words in output[-4000:].lower() for words in UNREACHABLE)
