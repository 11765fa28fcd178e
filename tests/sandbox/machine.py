"""The machine: namespaces with a root, a process tree and a network of their own, and a user-mode network to outside.

Killing its first process ends everything in it. No rule, bridge, port, mount or name is left on the host.
"""

import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.sandbox import cache, certificates, processes
from tests.sandbox.errors import SandboxError, TookTooLongError
from tests.sandbox.hosts import HOSTS, hosts_file
from tests.sandbox.parts import Parts
from tests.sandbox.processes import Process
from tests.sandbox.state import State

#: The seconds that the machine may take to boot, or its network to come up.
PATIENCE: Final = 30
#: Exit codes of ``timeout`` when it stopped the command, and when it had to kill it.
STOPPED: Final = (124, 137)

BOOT_SCRIPT: Final = Path(__file__).with_name("boot.sh")


@dataclass(frozen=True)
class Machine:
    """The namespaces, and what stands in them.

    Attributes:
        state: the folder it keeps things in.
    """

    state: State

    @property
    def process(self) -> Process | None:
        """Its first process, or None when it is down."""
        return Process.load(self.state.run / "machine.json")

    @property
    def network(self) -> Process | None:
        """The process that carries its packets outside, or None when that is down."""
        return Process.load(self.state.run / "network.json")

    @property
    def pid(self) -> int:
        """The id of its first process.

        Raises:
            SandboxError: the machine is down.
        """
        process = self.process
        if process is None:
            raise SandboxError("The sandbox's machine is down; start it with ./dev up.")
        return process.pid

    def command(self, command: list[str]) -> list[str]:
        """The command that runs another one inside.

        Raises:
            SandboxError: the machine is down.
        """
        return [*processes.entering(self.pid), *command]

    def run(
        self, command: list[str], log: Path, environment: dict[str, str] | None = None, *, patience: int = 600
    ) -> None:
        """Run a command inside to its end.

        Raises:
            TookTooLongError: it was stopped after as many seconds.
            SandboxError: it failed; names its log.
        """
        with log.open("ab") as output:
            ended = subprocess.run(
                self.command(["timeout", "--kill-after=5", str(patience), *command]),
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=processes.ENVIRONMENT | (environment or {}),
            )
        if ended.returncode in STOPPED:
            raise TookTooLongError(f"{command[0]} was stopped after {patience} s: {processes.last_lines(log)}")
        if ended.returncode:
            raise SandboxError(f"{command[0]} failed with exit code {ended.returncode}: {processes.last_lines(log)}")

    def boot(self, parts: Parts) -> None:
        """Start the machine, without its network and services.

        Raises:
            SandboxError: it did not come up; names its log.
        """
        write_config(self.state)
        booted = self.state.run / "booted"
        booted.unlink(missing_ok=True)
        environment = {
            "LOWER": ":".join(str(folder) for folder in parts.root_folders),
            "STATE": str(self.state.folder),
            "CACHE": str(cache.root()),
            "CONTENT": str(parts.sdk.folder),
            "CHANNEL": str(parts.channel),
            "ADDRESSES": " ".join(host.address for host in HOSTS),
        }
        log = self.state.log / "machine.log"
        namespaces = ["--mount", "--propagation=private", "--pid", "--net", "--ipc", "--uts"]
        command = ["unshare", *namespaces, "--fork", "--kill-child", "/bin/sh", str(BOOT_SCRIPT)]
        process = processes.start(command, log, forks=True, environment=environment)
        process.save(self.state.run / "machine.json")
        deadline = time.monotonic() + PATIENCE
        while not booted.exists():
            if not process.is_alive or time.monotonic() > deadline:
                process.stop(force=True)
                raise SandboxError(f"The sandbox's machine did not boot: {processes.last_lines(log)}")
            time.sleep(0.005)

    def connect(self) -> None:
        """Start the network to outside.

        Raises:
            SandboxError: it did not come up; names its log.
        """
        process = self.process
        if process is None:
            raise SandboxError("The sandbox's machine is down; start it with ./dev up.")
        log = self.state.log / "network.log"
        # The host's own services on its loopback interface stay out of reach.
        command = [
            shutil.which("slirp4netns") or "slirp4netns",
            "--configure",
            "--mtu=65520",
            "--disable-host-loopback",
        ]
        network = processes.start([*command, str(process.pid), "tap0"], log)
        network.save(self.state.run / "network.json")
        deadline = time.monotonic() + PATIENCE
        routes = Path(f"/proc/{process.pid}/net/route")
        while process.is_alive and "tap0" not in routes.read_text():
            if not network.is_alive or time.monotonic() > deadline:
                network.stop(force=True)
                raise SandboxError(f"The sandbox's network did not come up: {processes.last_lines(log)}")
            time.sleep(0.005)

    def listens(self, address: str, port: int) -> bool:
        """Whether something in the machine listens on an IPv4 address and port."""
        return listener(address, port) in self._sockets()

    def is_connected(self, address: str, port: int) -> bool:
        """Whether a client has a connection to an IPv4 address and port in the machine."""
        return (listener(address, port)[0], "01") in self._sockets()

    def _sockets(self) -> set[tuple[str, ...]]:
        """The address, port and state of each TCP socket in the machine, as the kernel writes them."""
        process = self.process
        if process is None:
            return set()
        try:
            table = Path(f"/proc/{process.pid}/net/tcp").read_text()
        except OSError:
            return set()
        return {tuple(line.split()[1:4:2]) for line in table.splitlines()[1:]}

    def halt(self) -> None:
        """End the machine and everything in it."""
        if self.process is not None:
            processes.end_entering(self.process.pid)
        for process in (self.process, self.network):
            if process is not None:
                process.stop(force=True)


def listener(address: str, port: int) -> tuple[str, str]:
    """A listener in the kernel's table of TCP sockets: hexadecimal, bytes of the address reversed, state."""
    number = "".join(f"{int(byte):02X}" for byte in reversed(address.split(".")))
    return f"{number}:{port:04X}", "0A"


def write_config(state: State) -> None:
    """Write the files that the boot script puts into the machine's root: names, and certificates to trust."""
    (state.config / "hosts").write_text(hosts_file())
    authority = certificates.ensure(state.secrets)
    bundle = host_bundle().read_bytes()
    (state.config / "ca-certificates.crt").write_bytes(bundle + b"\n" + authority.read_bytes())
    local = state.config / "ca-certificates"
    shutil.rmtree(local, ignore_errors=True)
    local.mkdir()
    shutil.copy(authority, local / "sandbox-authority.crt")
    # A company's own authority, without which neither the machine nor its containers reach outside.
    for file in Path("/usr/local/share/ca-certificates").glob("*.crt"):
        shutil.copy(file, local)


def host_bundle() -> Path:
    """The certificates that the host trusts.

    Raises:
        SandboxError: there is no such file.
    """
    places = (
        os.environ.get("SSL_CERT_FILE", ""),
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem",
    )
    for place in places:
        if place and Path(place).is_file():
            return Path(place)
    raise SandboxError("This machine has no bundle of CA certificates; install the package ca-certificates.")
