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
#: Docker's own key for Docker Hub in config.json. `docker login` in a browser writes two more below it: OAuth tokens
#: with which Docker renews its login. No registry accepts them as passwords.
_INDEX: Final = "https://index.docker.io/v1/"
_OAUTH: Final = (f"{_INDEX}access-token", f"{_INDEX}refresh-token")
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
    """User name and password for a registry, or for a namespace or repository of it."""

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
    """Content of Docker's config.json: user name and password by address, and credential helpers."""

    logins: Mapping[str, tuple[str, str]]
    helpers: Mapping[str, str]
    """Credential helpers by host; the empty host stands for all other hosts."""


def address_of(name: str) -> str:
    """Return a registry, or a namespace or repository of it, in one form: as references of images begin.

    All hosts of Docker Hub become one, and an API version (`https://ghcr.io/v2/`) is no namespace.
    """
    host, _, path = name.removeprefix("https://").removeprefix("http://").partition("/")
    host, path = host.lower(), path.strip("/")
    host = DOCKER_HUB[0] if host in DOCKER_HUB else host
    return f"{host}/{path}" if path and path not in {"v1", "v2"} else host


def check_address(address: str) -> str:
    """Return the address in the arguments of a login.

    Raises:
        PipelineError: it names no registry.
    """
    if not re.fullmatch(r"[\w.-]+(:\d+)?(/\S*)?", address_of(address)):
        raise PipelineError(
            Code.CREDENTIALS_INVALID,
            f"with-registry-auth: --address '{address}' names no registry; write a host such as ghcr.io",
        )
    return address


def repository_of(image: str) -> str:
    """Return the repository of an image with its registry, by Docker's defaults."""
    name = re.sub(r":[^/]*$", "", image.partition("@")[0])
    first, slash, _ = name.partition("/")
    if not slash:
        return f"{DOCKER_HUB[0]}/library/{name}"
    return address_of(name if re.search(r"[.:]|^localhost$", first) else f"{DOCKER_HUB[0]}/{name}")


def host_of(address: str) -> str:
    """Return the host of a registry, namespace or repository; all hosts of Docker Hub become one."""
    return address_of(address).partition("/")[0]


def find_address(image: str, addresses: Collection[str]) -> str | None:
    """Return the longest address that covers an image or a repository; None if none does."""
    return _longest(repository_of(image), addresses)


def _longest(address: str, addresses: Collection[str]) -> str | None:
    while address not in addresses:
        address, slash, _ = address.rpartition("/")
        if not slash:
            return None
    return address


def login_for(image: str, logins: Mapping[str, Login]) -> Login:
    """Return the login for an image or a repository; one without a user name if there is none."""
    address = find_address(image, logins)
    return logins[address] if address else Login("")


def read_docker_config(text: str) -> DockerConfig:
    """Read Docker's config.json.

    Raises:
        PipelineError: the file is invalid; the message quotes nothing of it, because it contains passwords.
    """
    try:
        content: dict[str, Any] = json.loads(text)
        entries = {key: entry for key, entry in content.get("auths", {}).items() if key not in _OAUTH}
        # The last one wins. For Docker Hub this is the one that Docker itself uses.
        keys = sorted(entries, key=lambda key: key == _INDEX)
        logins = {address_of(key): pair for key in keys if (pair := _pair(entries[key]))}
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
    repositories: Sequence[str], registries: Sequence[RegistryAuth], docker_config: dagger.Secret | None
) -> dict[str, Login]:
    """Return the login for each repository; credentials from arguments take precedence over Docker's file.

    Raises:
        PipelineError: repositories have no credentials; the message names all their registries.
    """
    logins, config = await known_logins(registries, docker_config)
    missing = [
        explain_missing(repository, config, logins)
        for repository in repositories
        if find_address(repository, logins) is None
    ]
    if missing:
        raise PipelineError(Code.CREDENTIALS_MISSING, "; ".join(dict.fromkeys(missing)))
    return {repository: login_for(repository, logins) for repository in repositories}


async def known_logins(
    registries: Sequence[RegistryAuth], docker_config: dagger.Secret | None
) -> tuple[dict[str, Login], DockerConfig]:
    """Return all known logins by address, and the content of Docker's file.

    Raises:
        PipelineError: Docker's file is invalid.
    """
    logins = {address_of(auth.address): Login(auth.username, auth.secret) for auth in registries}
    config = read_docker_config(await docker_config.plaintext()) if docker_config else DockerConfig({}, {})
    read = {
        # The engine identifies secrets by name.
        address: Login(username, dag.set_secret(f"registry-password-{address}", password))
        for address, (username, password) in config.logins.items()
        if _longest(address, logins) is None
    }
    return logins | read, config


def explain_missing(repository: str, config: DockerConfig, known: Collection[str] = ()) -> str:
    """Explain why there are no credentials for a repository, and how to give them.

    Args:
        repository: the repository.
        config: content of Docker's file.
        known: addresses with credentials.
    """
    host = host_of(repository)
    shared = any(host_of(address) == host for address in known)
    # Where other namespaces of the registry have a login each, this one needs its own.
    address = repository.rpartition("/")[0] if shared else host
    give = f"with-registry-auth --address {address} --username NAME --secret env:PASSWORD"
    if helper := config.helpers.get(host, config.helpers.get("")):
        return (
            f"the file of --docker-config leaves the credentials of {address} to the helper '{helper}', which cannot "
            f"run in the engine; put '{give}' before publish"
        )
    return f"there are no credentials for {address}; put '{give}' before publish, or give --docker-config"


def explain_rejected_pull(text: str, address: str | None, known: Collection[str]) -> str | None:
    """Return the remedy if an error reports that a registry denied a pull; None if it does not.

    Args:
        text: the error of the engine.
        address: reference of the image; if None, it is taken from the error.
        known: addresses with credentials.
    """
    if not _REFUSED_PULL.search(text):
        return None
    named = _PULLED.search(text)
    image = address or (named[1] if named else "")
    host = host_of(repository_of(image)) if image else "REGISTRY"
    if image and (given := find_address(image, known)):
        return f"{host} rejects its credentials, or they lack the right to pull it: check what was given for {given}"
    return (
        f"{host} wants credentials for it, or has no such image: put 'with-registry-auth --address {host} "
        "--username NAME --secret env:PASSWORD' before the function"
    )
