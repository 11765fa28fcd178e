"""Logins of a call: to registries in the engine, which pulls images, and to channels in containers.

The engine keeps credentials of registries until the call ends, so it gets them once. Credentials of channels exist only
as files in memory, in the steps that use channels: no layer and no variable of an image contains them.
"""

import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import dagger
from dagger import dag

from pipeline.credentials.channel_auth import ChannelAuth, check_secret, netrc, rattler_file, without_secrets
from pipeline.credentials.registry_auth import TOKEN, Login, RegistryAuth, known_logins

#: Folder with the files, mounted in a step until the step ends.
_FOLDER: Final = "/.logins"
#: File for pixi and rattler in that folder. An older pixi reads it only below HOME, and writes a file beside it.
_RATTLER: Final = f"{_FOLDER}/.rattler/credentials.json"
_NETRC: Final = f"{_FOLDER}/.netrc"
#: Variable of a step that logs in to channels: the value of HOME for pixi.
HOME: Final = "LOGINS_HOME"


@dataclass(frozen=True)
class Logins:
    """Logins of a call."""

    registries: Mapping[str, Login] = field(default_factory=dict)
    """Logins to registries by host, which the engine has too."""

    channels: Mapping[str, tuple[str, str]] = field(default_factory=dict, repr=False)
    """User name and secret by host; the name is empty if the secret is a token."""

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
        return without_secrets(text, [secret for _, secret in self.channels.values()])


async def log_in(
    registries: Sequence[RegistryAuth], docker_config: dagger.Secret | None, channels: Sequence[ChannelAuth]
) -> Logins:
    """Give the engine the credentials of registries for all pulls of this call, and read those of channels.

    Raises:
        PipelineError: Docker's config.json or the secret of a channel is invalid.
    """
    logins, _ = await known_logins(registries, docker_config)
    # A new value each time: the engine would not evaluate a cached call, and so not get the credentials.
    container = dag.container().with_env_variable("LOGIN", uuid.uuid4().hex)
    for host, login in logins.items():
        if login.secret:
            username = "" if login.username == TOKEN else login.username
            container = container.with_registry_auth(host, username, login.secret)
    if logins:
        await container.env_variable("LOGIN")
    return Logins(
        registries=logins,
        channels={
            auth.host: (auth.username, check_secret(auth.host, await auth.secret.plaintext())) for auth in channels
        },
    )
