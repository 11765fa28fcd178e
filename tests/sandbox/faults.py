"""Faults for tests: what stands between a registry and its clients cuts connections, or answers as it likes.

Both proxies are made when the first test asks for them. To use them::

    with faults.toxiproxy("ghcr.io") as proxy:
        proxy.add("limit_data", stream="upstream", bytes=100_000)

    with faults.mitmproxy("ghcr.io", script):
        ...
"""

import http.client
import json
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

#: The port for toxiproxy's orders, on the address of the name that it stands in front of.
ORDERS_PORT: Final = 8474

MITMPROXY: Final = Path(__file__).with_name("proxy") / "requirements.lock"
MITMDUMP: Final = "import sys; from mitmproxy.tools.main import mitmdump; sys.exit(mitmdump())"


@dataclass(frozen=True)
class Toxiproxy:
    """A proxy for connections: what is in them passes as it is, as long as it is let.

    Attributes:
        machine: where it runs.
        host: the registry that it stands in front of.
    """

    machine: Machine
    host: Host

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
        listen, upstream = f"{self.host.address}:{proxies.PORT}", f"127.0.0.1:{self.host.direct_port}"
        self._order("POST", "/proxies", {"name": self.host.name, "listen": listen, "upstream": upstream})

    def _order(self, method: str, path: str, body: Mapping[str, object] | None = None) -> None:
        connection = http.client.HTTPConnection(self.host.address, ORDERS_PORT)
        connection.sock = proxies.connect_inside(self.machine, self.host.address, ORDERS_PORT)
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
    command = [str(programs.program("toxiproxy", _say)), f"-host={host.address}", f"-port={ORDERS_PORT}"]
    with proxies.running(machine, host, command, ORDERS_PORT):
        proxy = Toxiproxy(machine, host)
        proxy.listen()
        with proxies.led(machine, host):
            yield proxy


@contextmanager
def mitmproxy(name: str, addon: Path, *options: str) -> Iterator[Path]:
    """Put mitmproxy in front of a registry, with a script that says what it answers.

    Bodies of more than a megabyte are passed on while they come in, so that the script does not see them. An answer
    that it makes for a HEAD request has to have no body, as in ``http.Response.make(503)``.

    Args:
        name: the registry's host name.
        addon: the script, with functions such as ``request(flow)`` and ``response(flow)``.
        options: of mitmdump, in addition.

    Yields:
        Its log, with a line or two a request.
    """
    machine, host = Machine(current()), registry(name)
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
        f"--listen-port={proxies.PORT}",
        f"--certs={name}={secrets / f'{name}.pem'}",
        f"--scripts={addon.resolve()}",
        *(argument for key, value in settings.items() for argument in ("--set", f"{key}={value}")),
        *options,
    ]
    environment = {"PYTHONPATH": str(mitmproxy_packages(_say)), "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    with proxies.running(machine, host, command, proxies.PORT, environment) as log, proxies.led(machine, host):
        yield log


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
