"""The processes of the machine: the engine, and for each name a web server with TLS and, for images, a registry."""

import json
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from string import Template
from typing import Final

from tests.sandbox import credentials, processes
from tests.sandbox.errors import SandboxError, ServiceError
from tests.sandbox.hosts import HOSTS, Host
from tests.sandbox.machine import Machine
from tests.sandbox.parts import Parts
from tests.sandbox.processes import Process
from tests.sandbox.state import State

#: What the engine is called among the services; it is the last of them.
ENGINE: Final = "engine"
#: How long a service may take until it answers, in seconds. The engine may first repair its state.
PATIENCE: Final = 60
#: Only an engine that can write to what it keeps answers this; something new each time.
TRIAL: Final = Template('{ directory { withNewFile(path: "started", contents: "$now") { entries } } }')
#: How much the engine keeps: more is thrown away, oldest first.
ENGINE_SPACE: Final = "40GB"

NGINX: Final = Template("""\
daemon off;
# One process: its end is the end of the service.
master_process off;
pid /run/nginx-$name.pid;
error_log stderr warn;
events { worker_connections 1024; }
http {
    access_log $log/$name.access.log;
    default_type application/octet-stream;
    client_body_temp_path /tmp/$name-body;
    proxy_temp_path /tmp/$name-proxy;
    fastcgi_temp_path /tmp/$name-fastcgi;
    uwsgi_temp_path /tmp/$name-uwsgi;
    scgi_temp_path /tmp/$name-scgi;
    sendfile on;
    server {
        listen $address:443 ssl;
$direct
        server_name $name;
        ssl_certificate $secrets/$name.crt;
        ssl_certificate_key $secrets/$name.key;
        client_max_body_size 0;
$locations
    }
}
""")

DIRECT: Final = Template("        listen 127.0.0.1:$port ssl;")

FILES: Final = """\
        root /srv/conda.anaconda.org;
"""

#: Anybody may pull. The version check asks for a password, since clients learn from it that there are any.
IMAGES: Final = Template("""\
        proxy_pass_request_headers on;
        proxy_set_header Host $$host;
        proxy_set_header X-Forwarded-Proto https;
        proxy_http_version 1.1;
        proxy_request_buffering off;
        proxy_buffering off;
        proxy_read_timeout 900s;
        location = /v2/ {
            auth_basic "$name";
            auth_basic_user_file $config/$name.htpasswd;
            proxy_pass http://127.0.0.1:$port;
        }
        location /v2/ {
            limit_except GET {
                auth_basic "$name";
                auth_basic_user_file $config/$name.htpasswd;
            }
            proxy_pass http://127.0.0.1:$port;
        }
""")

STORAGE: Final = Template("""\
version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: $folder}
  delete: {enabled: true}
  maintenance: {uploadpurging: {enabled: false}}
http:
  addr: 127.0.0.1:$port
  secret: $secret
""")


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
            services.append(_storage(host, state))
        services.append(_front(host, state))
    return [*services, _engine(state, parts)]


def _storage(host: Host, state: State) -> Service:
    port = host.storage_port
    return Service(
        host.storage_name,
        f"127.0.0.1:{port}",
        ["docker-registry", "serve", str(state.config / f"{host.storage_name}.yml")],
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
    """What a client is told, so that it talks to this engine and sends nobody's real passwords."""
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


def write_config(state: State) -> None:
    """Write what the services read: their configuration files and who may push."""
    found = credentials.ensure(state.secrets)
    (state.config / "engine.json").write_text(
        json.dumps({"logLevel": "info", "gc": {"enabled": True, "maxUsedSpace": ENGINE_SPACE, "minFreeSpace": "10GB"}})
    )
    (state.config / "trial.graphql").write_text(TRIAL.substitute(now=time.time_ns()))
    for host in HOSTS:
        values = {
            "name": host.name,
            "address": host.address,
            "port": host.storage_port,
            "config": state.config,
            "secrets": state.secrets,
            "log": state.log,
        }
        locations = IMAGES.substitute(values) if host.is_registry else FILES
        direct = DIRECT.substitute(port=host.direct_port) if host.is_registry else ""
        (state.config / f"{host.name}.conf").write_text(NGINX.substitute(values, locations=locations, direct=direct))
        if not host.is_registry:
            continue
        credentials.write_private(state.config / f"{host.name}.htpasswd", credentials.password_file(host, found))
        storage = STORAGE.substitute(
            folder=state.registry / host.name, port=host.storage_port, secret=found[host.name].password
        )
        credentials.write_private(state.config / f"{host.storage_name}.yml", storage)
    credentials.write_private(state.secrets / "auth.json", credentials.docker_config(found))
