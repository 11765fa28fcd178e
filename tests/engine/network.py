"""Requests to the sandbox's names from this process, which is outside of the machine."""

import http.client
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Final

import pytest

from tests.sandbox import certificates, proxies
from tests.sandbox.hosts import HOSTS
from tests.sandbox.machine import Machine
from tests.sandbox.state import current

HTTPS: Final = 443
ADDRESSES: Final = {host.name: host.address for host in HOSTS}


@contextmanager
def connected(name: str) -> Iterator[http.client.HTTPConnection]:
    """A connection to a registry, as images are named: ``docker.io``, or ``ghcr.io:PORT``."""
    host, _, port = name.replace("docker.io", "registry-1.docker.io").partition(":")
    context = ssl.create_default_context(cafile=current().secrets / certificates.AUTHORITY)
    made = http.client.HTTPConnection(host)
    plain = proxies.connect_inside(Machine(current()), ADDRESSES[host], int(port or HTTPS))
    made.sock = context.wrap_socket(plain, server_hostname=host)
    try:
        yield made
    finally:
        made.close()


class Tunnel(socketserver.StreamRequestHandler):
    """Passes a connection on into the machine, as it is."""

    def handle(self) -> None:
        """Do what a proxy does that gets ``CONNECT NAME:PORT``."""
        name, _, port = self.rfile.readline().decode().split()[1].partition(":")
        while self.rfile.readline().strip():
            pass
        with suppress(OSError), proxies.connect_inside(Machine(current()), ADDRESSES[name], int(port)) as inside:
            self.request.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            back = threading.Thread(target=_pass_on, args=(inside, self.request))
            back.start()
            _pass_on(self.request, inside)
            back.join()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@cache
def _tunnel() -> str:
    """The address of a proxy into the machine, which runs as long as this process."""
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Tunnel)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"


@contextmanager
def names_reached() -> Iterator[None]:
    """Let code in this process reach the names by HTTPS, as it does in the module's own container."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HTTPS_PROXY", _tunnel())
        patch.setenv("SSL_CERT_FILE", str(current().config / "ca-certificates.crt"))
        yield
