"""Programs that tests start in the machine's network: proxies in front of a registry, and what stands in for services.

A proxy has a port of its own on the address of the registry's name: ``ghcr.io:PORT`` leads to it, for the engine and
for all of its containers, and ``ghcr.io`` past it, so that tests with proxies run beside all others. It passes on to a
port of the registry's web server on 127.0.0.1.
"""

import os
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.sandbox import processes
from tests.sandbox.errors import SandboxError
from tests.sandbox.hosts import Host
from tests.sandbox.machine import Machine
from tests.sandbox.processes import Process
from tests.sandbox.state import State

#: The ports of proxies: the kernel gives those above to clients.
PORTS: Final = range(10_000, 32_000)
#: Seconds that a proxy may take to start.
PATIENCE: Final = 30


def free_port(machine: Machine, address: str) -> int:
    """A port of an address in the machine's network on which nothing listens.

    Raises:
        SandboxError: the machine is down.
    """
    while True:
        port = secrets.choice(PORTS)
        if not machine.listens(address, port):
            return port


def connect_inside(machine: Machine, address: str, port: int) -> socket.socket:
    """Connect to a port in the machine's network: a socket stays in the network that its thread was in.

    Raises:
        SandboxError: the machine is down.
    """
    place = f"/proc/{machine.pid}/ns/net"

    def connect() -> socket.socket:
        network = os.open(place, os.O_RDONLY)
        try:
            os.setns(network, os.CLONE_NEWNET)
        finally:
            os.close(network)
        return socket.create_connection((address, port), PATIENCE)

    with ThreadPoolExecutor(1) as pool:  # the thread ends with it, and nothing else runs in that network
        return pool.submit(connect).result()


def remove_forgotten(machine: Machine) -> None:
    """Take away the proxies of tests that were killed."""
    for owner in machine.state.run.glob("proxy-*.owner.json"):
        if Process.load(owner) is not None:
            continue
        name = owner.name.removeprefix("proxy-").removesuffix(".owner.json")
        proxy = Process.load(note(machine.state, name))
        if proxy is not None:
            proxy.stop(force=True)
        _forget(machine.state, name)


@contextmanager
def running(  # noqa: PLR0913  # two have a default
    machine: Machine,
    host: Host,
    command: list[str],
    port: int,
    environment: dict[str, str] | None = None,
    *,
    name: str = "",
) -> Iterator[Path]:
    """Run a program in the machine's network, from the time on that it listens on a port; yields its log.

    Args:
        machine: whose network it is.
        host: the name on whose address it listens.
        command: the program; it sees the host's files.
        port: where it listens when it is ready.
        environment: added to that of all services.
        name: what notes and messages call it; the host's name where it is not given.

    Raises:
        SandboxError: the machine is down, another one of this name runs, or this one does not start.
    """
    name = name or host.name
    state, inside = machine.state, ["nsenter", f"--target={machine.pid}", "--net", "--", *command]
    remove_forgotten(machine)
    if _owner(state, name).exists():
        raise SandboxError(f"Another test has {name} in use; run this one when that has ended.")
    log = state.log / f"proxy-{name}.log"
    Process.of(os.getpid()).save(_owner(state, name))
    with (
        log.open("w") as output,
        subprocess.Popen(
            inside,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=processes.ENVIRONMENT | (environment or {}),
            start_new_session=True,
        ) as child,
    ):
        try:
            Process.of(child.pid).save(note(state, name))
            deadline = time.monotonic() + PATIENCE
            while not machine.listens(host.address, port):
                if child.poll() is not None or time.monotonic() > deadline:
                    raise SandboxError(f"What stands in for {name} does not listen: {processes.last_lines(log)}")
                time.sleep(0.02)
            yield log
            log.unlink()  # who failed needs it
        finally:
            child.kill()
            _forget(state, name)


def _forget(state: State, name: str) -> None:
    note(state, name).unlink(missing_ok=True)
    _owner(state, name).unlink(missing_ok=True)


def note(state: State, name: str) -> Path:
    """The file with the process of what :func:`running` has started under a name."""
    return state.run / f"proxy-{name}.json"


def _owner(state: State, name: str) -> Path:
    """The file with the process that a proxy runs for."""
    return state.run / f"proxy-{name}.owner.json"
