"""User names and passwords of the sandbox's hosts: random, made once, readable by their owner only."""

import base64
import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from tests.sandbox.hosts import ASKING, REGISTRIES, Host


@dataclass(frozen=True)
class Credentials:
    """A user who may push to a registry, or read private files."""

    user: str
    password: str

    @property
    def basic(self) -> str:
        """As clients send them: base64 of user, colon, password."""
        return base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


def ensure(folder: Path) -> dict[str, Credentials]:
    """The credentials of each host that asks for them, by its name, made where they are missing."""
    file = folder / "credentials.json"
    try:
        found = {name: Credentials(**pair) for name, pair in json.loads(file.read_text()).items()}
        if all(host.name in found for host in ASKING):
            return found
    except (OSError, ValueError, TypeError, AttributeError):
        pass
    made = {host.name: Credentials("sandbox", secrets.token_urlsafe(24)) for host in ASKING}
    write_private(file, json.dumps({name: vars(pair) for name, pair in made.items()}))
    return made


def environment(found: dict[str, Credentials]) -> dict[str, str]:
    """The credentials under the environment variables that the lab's own runs use."""
    return {
        variable: value
        for host in ASKING
        for variable, value in (
            (host.user_variable, found[host.name].user),
            (host.password_variable, found[host.name].password),
        )
    }


def password_file(host: Host, found: dict[str, Credentials]) -> str:
    """The ``htpasswd`` file of a host."""
    pair = found[host.name]
    return f"{pair.user}:{{PLAIN}}{pair.password}\n"


def docker_config(found: dict[str, Credentials]) -> str:
    """The credentials as ``config.json`` of Docker, which skopeo reads too."""
    names = {host.name: host.name for host in REGISTRIES} | {"registry-1.docker.io": "docker.io"}
    return json.dumps({"auths": {name: {"auth": found[host].basic} for host, name in names.items()}})


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    half = file.with_name(f"{file.name}.half")
    half.unlink(missing_ok=True)
    half.touch(mode=0o600)
    half.write_text(text)
    half.rename(file)
