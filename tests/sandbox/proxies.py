"""A proxy in front of a registry for a while, for the engine and for all of its containers.

A rule in the machine's network leads what is sent to the name's HTTPS port to the proxy instead. The proxy runs in that
network, with the host's files, and passes on to a port of the registry's web server that no rule leads away from.
"""

import os
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
from tests.sandbox.hosts import REGISTRIES, Host
from tests.sandbox.machine import Machine
from tests.sandbox.processes import Process
from tests.sandbox.state import State

#: The port of a proxy, on the address of the name that it stands in front of.
PORT: Final = 9443
#: Seconds that a proxy may take to start.
PATIENCE: Final = 30

#: Arguments: an address, the port that is asked for, and the one that answers instead.
UNLEAD: Final = """
# shellcheck disable=SC2086 # a rule is several words
rule="-d $1 -p tcp --dport $2 -j DNAT --to-destination $1:$3"
for chain in PREROUTING OUTPUT; do
    while iptables -w -t nat -D "$chain" $rule 2>/dev/null; do :; done
done
"""
#: Connections that are kept open would go on without the proxy: they are cut.
LEAD: Final = (
    UNLEAD
    + """
for chain in PREROUTING OUTPUT; do
    iptables -w -t nat -I "$chain" $rule
done
ss --kill --tcp --numeric state established src "$1" sport = "$2"
ss --kill --tcp --numeric state established dst "$1" dport = "$2"
"""
)


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
    """Take away the proxies and rules of tests that were killed."""
    for owner in machine.state.run.glob("proxy-*.owner.json"):
        if Process.load(owner) is not None:
            continue
        name = owner.name.removeprefix("proxy-").removesuffix(".owner.json")
        for host in REGISTRIES:
            if host.name == name:
                _unlead(machine, host)
        proxy = Process.load(_note(machine.state, name))
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
        name: what notes and messages call it; a proxy has the name that it stands in front of.

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
            Process.of(child.pid).save(_note(state, name))
            deadline = time.monotonic() + PATIENCE
            while not machine.listens(host.address, port):
                if child.poll() is not None or time.monotonic() > deadline:
                    raise SandboxError(f"What stands in for {name} does not listen: {processes.last_lines(log)}")
                time.sleep(0.02)
            yield log
        finally:
            child.kill()
            _forget(state, name)


def _forget(state: State, name: str) -> None:
    _note(state, name).unlink(missing_ok=True)
    _owner(state, name).unlink(missing_ok=True)


def _note(state: State, name: str) -> Path:
    """The file with the process of a proxy."""
    return state.run / f"proxy-{name}.json"


def _owner(state: State, name: str) -> Path:
    """The file with the process that a proxy runs for."""
    return state.run / f"proxy-{name}.owner.json"


@contextmanager
def led(machine: Machine, host: Host) -> Iterator[None]:
    """Lead connections to a proxy that listens, and no longer at the end, come what may."""
    try:
        machine.run(["sh", "-euc", LEAD, "sh", host.address, "443", str(PORT)], machine.state.log / "faults.log")
        yield
    finally:
        _unlead(machine, host)


def _unlead(machine: Machine, host: Host) -> None:
    if machine.process is not None:  # it has taken its rules with it
        command = machine.command(["sh", "-uc", UNLEAD, "sh", host.address, "443", str(PORT)])
        subprocess.run(command, check=False, env=processes.ENVIRONMENT)
