"""Credentials of registries, from `with-registry-auth` and from the config.json of `docker login`."""

import base64
import binascii
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import dagger
from dagger import dag, field, object_type

from pipeline.errors import Code, PipelineError

#: Hosts of Docker Hub; references of its repositories begin with the first one.
DOCKER_HUB: Final = ("docker.io", "index.docker.io", "registry-1.docker.io")
#: User name that marks the password as an identity token.
TOKEN: Final = "<token>"  # noqa: S105  # a name, not a token
#: Errors of the engine after a registry denied a pull, and the part that names the image.
_REFUSED_PULL: Final = re.compile(
    r"pull access denied|401 Unauthorized|403 Forbidden|insufficient_scope|failed to authorize|no basic auth",
    re.IGNORECASE,
)
_PULLED: Final = re.compile(r"(?:metadata for|resolve image) \"?([^\s\"]+?)\"?(?::\s|\s|$)")


@object_type
class RegistryAuth:
    """User name and password for a registry."""

    address: str = field()
    username: str = field()
    secret: dagger.Secret = field()


@dataclass(frozen=True)
class Login:
    """Login to a registry: a user name, and a password if there is one."""

    username: str
    secret: dagger.Secret | None = None


@dataclass(frozen=True)
class DockerConfig:
    """Content of Docker's config.json: user name and password by host, and credential helpers."""

    logins: Mapping[str, tuple[str, str]]
    helpers: Mapping[str, str]
    """Credential helpers by host; the empty host stands for all other hosts."""


def host_of(address: str) -> str:
    """Return the host of a registry or repository; all hosts of Docker Hub become one."""
    host = address.removeprefix("https://").removeprefix("http://").partition("/")[0].lower()
    return DOCKER_HUB[0] if host in DOCKER_HUB else host


def read_docker_config(text: str) -> DockerConfig:
    """Read Docker's config.json.

    Raises:
        PipelineError: the file is invalid; the message quotes nothing of it, because it contains passwords.
    """
    try:
        content: dict[str, Any] = json.loads(text)
        logins = {
            host_of(address): pair for address, entry in content.get("auths", {}).items() if (pair := _pair(entry))
        }
        helpers = {host_of(address): str(name) for address, name in content.get("credHelpers", {}).items()}
        if content.get("credsStore"):
            helpers[""] = str(content["credsStore"])
    except (ValueError, AttributeError, TypeError, binascii.Error):
        raise PipelineError(
            Code.CREDENTIALS_INVALID,
            "--docker-config is not a config.json as 'docker login' writes it; name the right file, as in "
            "--docker-config file:$HOME/.docker/config.json",
        ) from None
    return DockerConfig(logins, helpers)


def _pair(entry: Mapping[str, str]) -> tuple[str, str] | None:
    if token := entry.get("identitytoken"):
        return TOKEN, token
    if auth := entry.get("auth"):
        username, colon, password = base64.b64decode(auth, validate=True).decode().partition(":")
        if not colon:
            raise ValueError("no colon")
        return username, password
    if (username := entry.get("username", "")) and (password := entry.get("password", "")):
        return username, password
    return None


async def find_logins(
    hosts: Sequence[str], registries: Sequence[RegistryAuth], docker_config: dagger.Secret | None
) -> dict[str, Login]:
    """Return the login for each registry; credentials from arguments take precedence over Docker's file.

    Raises:
        PipelineError: registries have no credentials; the message names all of them.
    """
    logins, config = await known_logins(registries, docker_config)
    missing = [explain_missing(host, config) for host in dict.fromkeys(hosts) if host not in logins]
    if missing:
        raise PipelineError(Code.CREDENTIALS_MISSING, "; ".join(missing))
    return {host: logins[host] for host in hosts}


async def known_logins(
    registries: Sequence[RegistryAuth], docker_config: dagger.Secret | None
) -> tuple[dict[str, Login], DockerConfig]:
    """Return all known logins by host, and the content of Docker's file.

    Raises:
        PipelineError: Docker's file is invalid.
    """
    logins = {host_of(auth.address): Login(auth.username, auth.secret) for auth in registries}
    config = read_docker_config(await docker_config.plaintext()) if docker_config else DockerConfig({}, {})
    for host, (username, password) in config.logins.items():
        # The engine identifies secrets by name.
        logins.setdefault(host, Login(username, dag.set_secret(f"registry-password-{host}", password)))
    return logins, config


def explain_missing(host: str, config: DockerConfig) -> str:
    """Explain why there are no credentials for a registry, and how to give them."""
    give = f"with-registry-auth --address {host} --username NAME --secret env:PASSWORD"
    if helper := config.helpers.get(host, config.helpers.get("")):
        return (
            f"the file of --docker-config leaves the credentials of {host} to the helper '{helper}', which cannot run "
            f"in the engine; put '{give}' before publish"
        )
    return f"there are no credentials for {host}; put '{give}' before publish, or give --docker-config"


def explain_rejected_pull(text: str, address: str | None, known: Collection[str]) -> str | None:
    """Return the remedy if an error reports that a registry denied a pull; None if it does not.

    Args:
        text: the error of the engine.
        address: reference of the image; if None, it is taken from the error.
        known: registries with credentials.
    """
    if not _REFUSED_PULL.search(text):
        return None
    named = _PULLED.search(text)
    host = host_of(address or (named[1] if named else ""))
    if "." not in host and ":" not in host:  # an image without a registry is Docker Hub's
        host = DOCKER_HUB[0] if address or named else "REGISTRY"
    if host in known:
        return f"{host} rejects its credentials, or they lack the right to pull it: check what was given for {host}"
    return (
        f"{host} wants credentials for it, or has no such image: put 'with-registry-auth --address {host} "
        "--username NAME --secret env:PASSWORD' before the function"
    )
