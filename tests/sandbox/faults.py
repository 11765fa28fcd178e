"""Faults for tests: what stands between a registry and its clients cuts connections, or answers as it likes.

Both proxies are made when the first test asks for them. To use them::

    with faults.toxiproxy("ghcr.io") as proxy:
        proxy.add("limit_data", stream="upstream", bytes=100_000)
        ...  # to or from proxy.registry

    with faults.mitmproxy("ghcr.io", script) as proxy:
        ...

A registry with a disk of its own size has nothing to do with the sandbox's, but for its name and certificate.
"""

import http.client
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from tests.sandbox import cache, certificates, credentials, programs, proxies, tools
from tests.sandbox.errors import SandboxError
from tests.sandbox.hosts import Host, registry
from tests.sandbox.machine import Machine
from tests.sandbox.state import current

MITMPROXY: Final = Path(__file__).with_name("proxy") / "requirements.lock"
MITMDUMP: Final = "import sys; from mitmproxy.tools.main import mitmdump; sys.exit(mitmdump())"


@dataclass(frozen=True)
class Toxiproxy:
    """A proxy for connections: what is in them passes as it is, as long as it is let.

    Attributes:
        machine: where it runs.
        host: the registry that it stands in front of.
        port: where it takes connections, on the registry's address.
        orders: the port for its orders.
    """

    machine: Machine
    host: Host
    port: int
    orders: int

    @property
    def registry(self) -> str:
        """The registry by way of this proxy, as images are named: ``ghcr.io:PORT``."""
        return f"{self.host.name}:{self.port}"

    def add(
        self, kind: str, *, stream: Literal["upstream", "downstream"] = "downstream", toxicity: float = 1, **values: int
    ) -> None:
        """Do harm to connections, from now on and to those that are open.

        Args:
            kind: how: latency, bandwidth, slow_close, timeout, reset_peer, slicer or limit_data.
            stream: to what clients send, or to what they get.
            toxicity: to which share of the connections.
            values: how much, as toxiproxy names it: ``bytes`` of limit_data, ``rate`` of bandwidth in KB/s …
        """
        toxic = {"type": kind, "stream": stream, "toxicity": toxicity, "attributes": values}
        self._order("POST", f"/proxies/{self.host.name}/toxics", toxic)

    def down(self) -> None:
        """Refuse connections, and cut those that are open."""
        self._order("POST", f"/proxies/{self.host.name}", {"enabled": False})

    def heal(self) -> None:
        """Take all harm away."""
        self._order("POST", "/reset")

    def listen(self) -> None:
        """Begin to pass connections on."""
        listen, upstream = f"{self.host.address}:{self.port}", f"127.0.0.1:{self.host.direct_port}"
        self._order("POST", "/proxies", {"name": self.host.name, "listen": listen, "upstream": upstream})

    def _order(self, method: str, path: str, body: Mapping[str, object] | None = None) -> None:
        connection = http.client.HTTPConnection(self.host.address, self.orders)
        connection.sock = proxies.connect_inside(self.machine, self.host.address, self.orders)
        try:
            connection.request(method, path, json.dumps(body) if body else None)
            answer = connection.getresponse()
            reason = answer.read().decode()
        finally:
            connection.close()
        if answer.status >= http.client.BAD_REQUEST:
            raise SandboxError(f"toxiproxy refuses {method} {path} {body}: {reason}")


@contextmanager
def toxiproxy(name: str) -> Iterator[Toxiproxy]:
    """Put toxiproxy in front of a registry; it harms nothing until it is ordered to.

    Args:
        name: the registry's host name.
    """
    machine, host = Machine(current()), registry(name)
    proxy = Toxiproxy(machine, host, *(proxies.free_port(machine, host.address) for _ in range(2)))
    command = [str(programs.program("toxiproxy", _say)), f"-host={host.address}", f"-port={proxy.orders}"]
    with proxies.running(machine, host, command, proxy.orders, name=f"{name}-{proxy.port}"):
        proxy.listen()
        yield proxy


@dataclass(frozen=True)
class Mitmproxy:
    """A proxy for requests, which a script may answer.

    Attributes:
        host: the registry that it stands in front of.
        port: where it takes connections, on the registry's address.
        log: a line or two a request.
    """

    host: Host
    port: int
    log: Path

    @property
    def registry(self) -> str:
        """The registry by way of this proxy, as images are named: ``ghcr.io:PORT``."""
        return f"{self.host.name}:{self.port}"


@contextmanager
def mitmproxy(name: str, addon: Path, *options: str) -> Iterator[Mitmproxy]:
    """Put mitmproxy in front of a registry, with a script that says what it answers.

    Bodies of more than a megabyte are passed on while they come in, so that the script does not see them. An answer
    that it makes for a HEAD request has to have no body, as in ``http.Response.make(503)``.

    Args:
        name: the registry's host name.
        addon: the script, with functions such as ``request(flow)`` and ``response(flow)``.
        options: of mitmdump, in addition.
    """
    machine, host = Machine(current()), registry(name)
    port = proxies.free_port(machine, host.address)
    secrets = machine.state.secrets
    certificates.ensure(secrets)
    credentials.write_private(
        secrets / f"{name}.pem", (secrets / f"{name}.key").read_text() + (secrets / f"{name}.crt").read_text()
    )
    settings = {
        "confdir": secrets / "mitmproxy",
        "keep_host_header": "true",
        "ssl_insecure": "true",
        "stream_large_bodies": "1m",
        "flow_detail": "1",
    }
    command = [
        *(sys.executable, "-S", "-c", MITMDUMP),
        f"--mode=reverse:https://127.0.0.1:{host.direct_port}",
        f"--listen-host={host.address}",
        f"--listen-port={port}",
        f"--certs={name}={secrets / f'{name}.pem'}",
        f"--scripts={addon.resolve()}",
        *(argument for key, value in settings.items() for argument in ("--set", f"{key}={value}")),
        *options,
    ]
    environment = {"PYTHONPATH": str(mitmproxy_packages(_say)), "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    with proxies.running(machine, host, command, port, environment, name=f"{name}-{port}") as log:
        yield Mitmproxy(host, port, log)


#: Arguments: a size, a folder, a program and its arguments. The disk ends with the program, which alone sees it.
ON_A_DISK: Final = 'mount -t tmpfs -o "size=$1" tmpfs "$2"; shift 2; exec "$@"'


@dataclass(frozen=True)
class SmallRegistry:
    """A registry on a disk of its own.

    Attributes:
        host: the name that it has.
        port: where it takes connections, on the name's address.
        folder: where its disk is.
        process: the file with its process.
    """

    host: Host
    port: int
    folder: Path
    process: Path

    @property
    def registry(self) -> str:
        """The registry as images are named: ``hub.opensciencegrid.org:PORT``."""
        return f"{self.host.name}:{self.port}"

    def grow(self, size: str) -> None:
        """Give its disk another size."""
        pid = json.loads(self.process.read_text())["pid"]
        remount = ["mount", "-o", f"remount,size={size}", "tmpfs", str(self.folder)]
        subprocess.run(["nsenter", f"--target={pid}", "--mount", "--", *remount], check=True)


@contextmanager
def small_registry(name: str, folder: Path, size: str) -> Iterator[SmallRegistry]:
    """Run a registry that has so much space and no more; what it takes is lost at the end.

    Args:
        name: the host name that it has.
        folder: an empty one.
        size: of its disk, as ``mount`` takes it.
    """
    machine, host = Machine(current()), registry(name)
    port = proxies.free_port(machine, host.address)
    certificate = machine.state.secrets / name
    serve = [
        *(str(programs.program("olareg", _say)), "serve", f"--addr={host.address}", f"--port={port}"),
        *(f"--dir={folder}", "--gc-frequency=-1s", f"--tls-cert={certificate}.crt", f"--tls-key={certificate}.key"),
    ]
    command = ["unshare", "--mount", "--propagation=private", "sh", "-euc", ON_A_DISK, "sh", size, str(folder), *serve]
    title = f"{name}-{port}"
    with proxies.running(machine, host, command, port, name=title):
        yield SmallRegistry(host, port, folder, proxies.note(machine.state, title))


def mitmproxy_packages(say: Callable[[str], None]) -> Path:
    """mitmproxy with all that it needs, apart from the packages of the tests, made where it is missing.

    Raises:
        SandboxError: the packages cannot be installed.
    """

    def make(part: Path) -> None:
        log = cache.root() / "sandbox" / "log" / "make-mitmproxy.log"
        log.unlink(missing_ok=True)
        install = ["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile"]
        hashed = ["--require-hashes", "--only-binary=:all:", f"--target={part}", f"--requirement={MITMPROXY}"]
        tools.run([sys.executable, "-m", "pip", *install, *hashed], log, "The Python package index")

    return cache.ensure("mitmproxy", [sys.version, MITMPROXY], make, say=say)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
