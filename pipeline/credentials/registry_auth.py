"""Credentials: who pushes to which registry, from `with-registry-auth` and from what `docker login` wrote down."""

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

#: Names under which Docker Hub is known; the first one is what repositories of it begin with.
DOCKER_HUB: Final = ("docker.io", "index.docker.io", "registry-1.docker.io")
#: The user name by which registries are told that the password is an identity token.
TOKEN: Final = "<token>"  # noqa: S105  # a name, not a token
#: What the engine says where a registry does not let somebody pull, and how it names the image.
_REFUSED_PULL: Final = re.compile(
    r"pull access denied|401 Unauthorized|403 Forbidden|insufficient_scope|failed to authorize|no basic auth",
    re.IGNORECASE,
)
_PULLED: Final = re.compile(r"(?:metadata for|resolve image) \"?([^\s\"]+?)\"?(?::\s|\s|$)")


@object_type
class RegistryAuth:
    """A user name and a password for one registry."""

    address: str = field()
    username: str = field()
    secret: dagger.Secret = field()


@dataclass(frozen=True)
class Login:
    """Who logs in to a registry."""

    username: str
    secret: dagger.Secret | None = None


@dataclass(frozen=True)
class DockerConfig:
    """What `docker login` wrote down: user name and password by host, and what only a helper knows."""

    logins: Mapping[str, tuple[str, str]]
    helpers: Mapping[str, str]
    """The credential helper of a host; the one of all other hosts is that of the empty name."""


def host_of(address: str) -> str:
    """The host in the address of a registry or a repository; Docker Hub has one name here."""
    host = address.removeprefix("https://").removeprefix("http://").partition("/")[0].lower()
    return DOCKER_HUB[0] if host in DOCKER_HUB else host


def read_docker_config(text: str) -> DockerConfig:
    """Read Docker's config.json.

    Raises:
        PipelineError: it is not what Docker writes. No part of it is repeated: it has passwords.
    """
    try:
        content: dict[str, Any] = json.loads(text)
        logins = {
            host_of(address): found for address, entry in content.get("auths", {}).items() if (found := _pair(entry))
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
    hosts: Sequence[str], given: Sequence[RegistryAuth], docker_config: dagger.Secret | None
) -> dict[str, Login]:
    """Who logs in to each registry; what was given for one comes before Docker's file.

    Raises:
        PipelineError: there is nobody for a registry; all of them are named.
    """
    logins, config = await known_logins(given, docker_config)
    missing = [explain_missing(host, config) for host in dict.fromkeys(hosts) if host not in logins]
    if missing:
        raise PipelineError(Code.CREDENTIALS_MISSING, "; ".join(missing))
    return {host: logins[host] for host in hosts}


async def known_logins(
    given: Sequence[RegistryAuth], docker_config: dagger.Secret | None
) -> tuple[dict[str, Login], DockerConfig]:
    """Who logs in, by host, as far as that is known; and what was read of Docker's file for it.

    Raises:
        PipelineError: the file is not what Docker writes.
    """
    logins = {host_of(auth.address): Login(auth.username, auth.secret) for auth in given}
    config = read_docker_config(await docker_config.plaintext()) if docker_config else DockerConfig({}, {})
    for host, (username, password) in config.logins.items():
        # The name says nothing; it is how the engine tells secrets apart.
        logins.setdefault(host, Login(username, dag.set_secret(f"registry-password-{host}", password)))
    return logins, config


def explain_missing(host: str, config: DockerConfig) -> str:
    """Why there are no credentials for a registry, and how to give them."""
    give = f"with-registry-auth --address {host} --username NAME --secret env:PASSWORD"
    if helper := config.helpers.get(host, config.helpers.get("")):
        return (
            f"the file of --docker-config leaves the credentials of {host} to the helper '{helper}', which cannot run "
            f"in the engine; put '{give}' before publish"
        )
    return f"there are no credentials for {host}; put '{give}' before publish, or give --docker-config"


def explain_refused_pull(said: str, address: str | None, known: Collection[str]) -> str | None:
    """The remedy where a registry did not let an image be pulled; None where nothing of that is said.

    Args:
        said: what the engine says of it.
        address: the image; the one that the engine names where it is not known.
        known: the registries that credentials were given for.
    """
    if not _REFUSED_PULL.search(said):
        return None
    named = _PULLED.search(said)
    host = host_of(address or (named[1] if named else ""))
    if "." not in host and ":" not in host:  # an image without a registry is Docker Hub's
        host = DOCKER_HUB[0] if address or named else "REGISTRY"
    if host in known:
        return f"{host} rejects its credentials, or they lack the right to pull it: check what was given for {host}"
    return (
        f"{host} wants credentials for it, or has no such image: put 'with-registry-auth --address {host} "
        "--username NAME --secret env:PASSWORD' before the function"
    )
