"""Logins of a call: to registries in the engine, which pulls images, and to channels in containers.

The engine keeps credentials of registries until the call ends, so it gets them once. Credentials of channels exist only
as files in memory, in the steps that use channels: no layer and no variable of an image contains them.
"""

import contextlib
import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import anyio
import dagger
from dagger import dag

from pipeline.credentials.build_secrets import BuildSecret, read_secrets
from pipeline.credentials.channel_auth import ChannelAuth, check_secret, netrc, rattler_file, without_secrets
from pipeline.credentials.registry_auth import (
    TOKEN,
    Login,
    RegistryAuth,
    host_of,
    known_logins,
    login_for,
    repository_of,
)

#: Folder with the files, mounted in a step until the step ends.
_FOLDER: Final = "/.logins"
#: File for pixi and rattler in that folder. An older pixi reads it only below HOME, and writes a file beside it.
_RATTLER: Final = f"{_FOLDER}/.rattler/credentials.json"
_NETRC: Final = f"{_FOLDER}/.netrc"
#: Characters of a line that is a secret of its own.
_LINE: Final = 8
#: Variable of a step that logs in to channels: the value of HOME for pixi.
HOME: Final = "LOGINS_HOME"


@dataclass(frozen=True)
class Logins:
    """Logins of a call."""

    registries: Mapping[str, Login] = field(default_factory=dict, repr=False)
    """Logins to registries, by address."""

    channels: Mapping[str, tuple[str, str]] = field(default_factory=dict, repr=False)
    """User name and secret by host; the name is empty if the secret is a token."""

    build_secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Secrets for steps of Dockerfiles, by id."""

    _turn: anyio.Lock = field(default_factory=anyio.Lock, init=False, repr=False, compare=False)

    async def prepare(self, images: Iterable[str]) -> None:
        """Have the engine pull each of these images with the login of its namespace.

        The engine has one login for a registry. It keeps the one with which it first reads a tag of a repository until
        the call ends, so each tag is read while the right login is there. A failure is reported by the pull itself.
        """
        for image in dict.fromkeys(images):
            repository = repository_of(image)
            host = host_of(repository)
            if not any(address.startswith(f"{host}/") for address in self.registries):
                continue
            tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2] or "latest"
            async with self._turn:
                container = await _log_in(host, login_for(repository, self.registries))
                with contextlib.suppress(dagger.QueryError):
                    await container.from_(f"{repository}:{tag}").image_ref()
                # Never that of another namespace, for which the engine would ask when this one is rejected.
                await _log_in(host, self.registries.get(host, Login("")))

    def mounted(self, container: dagger.Container) -> dagger.Container:
        """Mount the credentials of channels in a container, for its next steps."""
        if not self.channels:
            return container
        # The engine identifies secrets by name: a new token for a host does not run a step again.
        name = "channels-" + "-".join(sorted(self.channels))
        container = (
            # A temporary (in-memory) mount would hide the secrets, which the engine mounts in memory anyway.
            container.with_mounted_directory(_FOLDER, dag.directory())
            .with_mounted_secret(_RATTLER, dag.set_secret(f"{name}-rattler", rattler_file(self.channels)))
            .with_mounted_secret(_NETRC, dag.set_secret(f"{name}-netrc", netrc(self.channels)))
            .with_env_variable("RATTLER_AUTH_FILE", _RATTLER)
            .with_env_variable("NETRC", _NETRC)
            .with_env_variable(HOME, _FOLDER)
        )
        # Each secret by itself, too: the engine removes the content of mounted secrets from the output of a step.
        for host, (_, secret) in self.channels.items():
            container = container.with_mounted_secret(f"{_FOLDER}/{host}", dag.set_secret(f"channel-{host}", secret))
        return container

    def rattler_config(self) -> str:
        """Return the lines of rattler's configuration with which this process logs in to channels."""
        if not self.channels:
            return ""
        # In memory, so that this process writes no secret to a disk.
        file = os.memfd_create("logins")
        os.write(file, rattler_file(self.channels).encode())
        return f'\nauthentication-override-file = "/proc/self/fd/{file}"'

    def hide(self, text: str) -> str:
        """Replace secrets in a message with asterisks."""
        secrets = [secret for _, secret in self.channels.values()]
        for value in self.build_secrets.values():
            # A key has several lines, and an error only one of them; a short one (`}`) would be hidden everywhere.
            secrets += [value.strip(), *(line for line in map(str.strip, value.splitlines()) if len(line) >= _LINE)]
        return without_secrets(text, secrets)


async def log_in(
    registries: Sequence[RegistryAuth],
    docker_config: dagger.Secret | None,
    channels: Sequence[ChannelAuth],
    build_secrets: Sequence[BuildSecret] = (),
) -> Logins:
    """Give the engine the credentials of registries for all pulls of this call, and read the other secrets.

    Raises:
        PipelineError: Docker's config.json, the secret of a channel or a build secret is invalid.
    """
    known, _ = await known_logins(registries, docker_config)
    logins = Logins(
        registries=known,
        channels={
            auth.host: (auth.username, check_secret(auth.host, await auth.secret.plaintext())) for auth in channels
        },
        build_secrets=await read_secrets(build_secrets),
    )
    for address, login in known.items():
        if address == host_of(address):
            await _log_in(address, login)
    return logins


async def _log_in(host: str, login: Login) -> dagger.Container:
    """Give the engine the login for all pulls from a registry, and return a container that pulls with it."""
    # A new value each time: the engine would not evaluate a cached call, and so not get the credentials.
    container = dag.container().with_env_variable("LOGIN", uuid.uuid4().hex)
    if login.secret:
        username = "" if login.username == TOKEN else login.username
        container = container.with_registry_auth(host, username, login.secret)
    else:
        container = container.without_registry_auth(host)
    await container.env_variable("LOGIN")
    return container
