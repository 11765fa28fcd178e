"""The processes of the machine: the engine, and for each name a web server with TLS and, for images, a registry."""

import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from tests.sandbox import processes
from tests.sandbox.errors import SandboxError, ServiceError
from tests.sandbox.hosts import HOSTS, Host
from tests.sandbox.machine import Machine
from tests.sandbox.parts import Parts
from tests.sandbox.processes import Process
from tests.sandbox.state import State

#: The engine's name among the services; it is the last of them.
ENGINE: Final = "engine"
#: The seconds that a service may take until it answers. The engine may first repair its state, on a busy machine.
PATIENCE: Final = 180


@dataclass(frozen=True)
class Service:
    """A process inside the machine.

    Attributes:
        name: as people and pid files call it.
        address: where it is reached, for people.
        command: what runs, as seen inside.
        answers: whether it takes connections now.
        patience: how long it may take to end by itself, in seconds.
        environment: added to the services' common one.
        trial: a command outside of the machine that ends well once the service does its work; empty where taking
            connections is enough.
    """

    name: str
    address: str
    command: list[str]
    answers: Callable[[Machine], bool]
    patience: float = 5
    environment: dict[str, str] = field(default_factory=dict)
    trial: list[str] = field(default_factory=list)

    def process(self, state: State) -> Process | None:
        """Its process, or None when it is down."""
        return Process.load(state.run / f"{self.name}.json")

    def is_healthy(self, machine: Machine) -> bool:
        """Whether it runs and takes connections."""
        return self.process(machine.state) is not None and self.answers(machine)

    def start(self, machine: Machine) -> None:
        """Start it, without waiting until it answers.

        Raises:
            ServiceError: it ended at once.
        """
        log = machine.state.log / f"{self.name}.log"
        try:
            process = processes.start(machine.command(self.command), log, forks=True, environment=self.environment)
        except SandboxError as error:
            raise ServiceError(self.name, str(error)) from None
        process.save(machine.state.run / f"{self.name}.json")

    def wait(self, machine: Machine) -> None:
        """Wait until it answers, and until its trial ends well.

        Raises:
            ServiceError: it ended, or does not answer, or does not work; names its log.
        """
        deadline = time.monotonic() + PATIENCE
        while not self.answers(machine):
            self._expect(machine.state, deadline)
            time.sleep(0.01)
        if self.trial:
            self._try(machine.state, deadline)

    def _expect(self, state: State, deadline: float) -> None:
        """Raise what there is to say about a service that ended, or that has had its time."""
        log = state.log / f"{self.name}.log"
        if self.process(state) is None:
            raise ServiceError(self.name, f"{self.name} ended while it was starting: {processes.last_lines(log)}")
        if time.monotonic() > deadline:
            message = f"{self.name} does not answer after {PATIENCE} s: {processes.last_lines(log)}"
            raise ServiceError(self.name, message)

    def _try(self, state: State, deadline: float) -> None:
        log = state.log / f"{self.name}-trial.log"
        environment = processes.ENVIRONMENT | client_environment(state)
        with (
            log.open("w") as output,
            subprocess.Popen(
                self.trial, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, cwd="/"
            ) as client,
        ):
            try:
                while client.poll() is None:
                    self._expect(state, deadline)
                    time.sleep(0.01)
            finally:
                client.kill()
        if client.returncode:
            message = f"{self.name} takes connections and does not work: {processes.last_lines(log)}"
            raise ServiceError(self.name, message)

    def stop(self, state: State, *, force: bool = False) -> None:
        """End it, if it runs."""
        process = self.process(state)
        if process is not None:
            process.stop(force=force, patience=self.patience)


def describe(state: State, parts: Parts | None = None) -> list[Service]:
    """All services, in the order in which they are started; the reverse is the one in which they are stopped."""
    services = []
    for host in HOSTS:
        if host.is_registry:
            services.append(_storage(host, state, parts))
        services.append(_front(host, state))
    return [*services, _engine(state, parts)]


def _storage(host: Host, state: State, parts: Parts | None) -> Service:
    port = host.storage_port
    if host.lists_referrers:
        program = str(parts.olareg) if parts else ""
        folder = f"--dir={state.registry / host.name}"
        # Collecting garbage is for a registry that lives longer.
        command = [program, "serve", "--addr=127.0.0.1", f"--port={port}", folder, "--gc-frequency=-1s"]
    else:
        command = ["docker-registry", "serve", str(state.config / f"{host.storage_name}.yml")]
    return Service(
        host.storage_name,
        f"127.0.0.1:{port}",
        command,
        lambda machine: machine.listens("127.0.0.1", port),
    )


def _front(host: Host, state: State) -> Service:
    return Service(
        host.name,
        f"https://{host.name}",
        ["nginx", "-c", str(state.config / f"{host.name}.conf")],
        lambda machine: machine.listens(host.address, 443),
    )


def _engine(state: State, parts: Parts | None) -> Service:
    return Service(
        ENGINE,
        f"unix://{state.socket}",
        ["dagger-engine", "--addr", "unix:///run/dagger/engine.sock", "--oci-worker-snapshotter", "overlayfs"],
        lambda _: _accepts(state),
        patience=30,
        environment=parts.sdk.environment if parts else {},
        trial=[str(parts.client), "query", "--silent", "--doc", str(state.config / "trial.graphql")] if parts else [],
    )


def client_environment(state: State) -> dict[str, str]:
    """The variables of a client, so that it talks to this engine and sends nobody's real passwords."""
    return {
        "_EXPERIMENTAL_DAGGER_RUNNER_HOST": f"unix://{state.socket}",
        "DAGGER_NO_NAG": "1",
        "DO_NOT_TRACK": "1",
        "DOCKER_CONFIG": str(state.client),
    }


def _accepts(state: State) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(2)
        try:
            client.connect(str(state.socket))
        except OSError:
            return False
    return True
