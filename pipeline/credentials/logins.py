"""Who logs in where: in the engine, for the registries that images are pulled from, and in containers, for channels.

Registries' credentials are kept by the engine for as long as a call takes, so they are given once. Those of channels
are files in memory of the steps that ask channels, and nowhere else: in no layer, and in no variable of an image.
"""

import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import dagger
from dagger import dag

from pipeline.credentials.channel_auth import ChannelAuth, check_secret, netrc, rattler_file, without_secrets
from pipeline.credentials.registry_auth import TOKEN, RegistryAuth, known_logins

#: Where a step has the files: a folder of its own, which is mounted, and gone when it ends.
_FOLDER: Final = "/.logins"
#: Below it: what pixi and rattler read. An older pixi reads it below HOME only, and writes a file beside it.
_RATTLER: Final = f"{_FOLDER}/.rattler/credentials.json"
_NETRC: Final = f"{_FOLDER}/.netrc"
#: The variable that a step has where somebody logs in to channels: the HOME to start pixi with.
HOME: Final = "LOGINS_HOME"


@dataclass(frozen=True)
class Logins:
    """Who logs in where, for one call."""

    registries: frozenset[str] = frozenset()
    """Hosts that the engine has credentials for."""

    channels: Mapping[str, tuple[str, str]] = field(default_factory=dict, repr=False)
    """User name and secret by host; the name is empty where the secret is a token."""

    def mounted(self, container: dagger.Container) -> dagger.Container:
        """A step that gives a container the credentials of channels, for what it runs next."""
        if not self.channels:
            return container
        # By these names the engine tells secrets apart: a new token for a host does not make a step run again.
        name = "channels-" + "-".join(sorted(self.channels))
        container = (
            # No folder in memory: the engine would mount that over the secrets in it, which are in memory themselves.
            container.with_mounted_directory(_FOLDER, dag.directory())
            .with_mounted_secret(_RATTLER, dag.set_secret(f"{name}-rattler", rattler_file(self.channels)))
            .with_mounted_secret(_NETRC, dag.set_secret(f"{name}-netrc", netrc(self.channels)))
            .with_env_variable("RATTLER_AUTH_FILE", _RATTLER)
            .with_env_variable("NETRC", _NETRC)
            .with_env_variable(HOME, _FOLDER)
        )
        # Each alone, too: the engine takes what it mounts as a secret out of what a step prints.
        for host, (_, secret) in self.channels.items():
            container = container.with_mounted_secret(f"{_FOLDER}/{host}", dag.set_secret(f"channel-{host}", secret))
        return container

    def rattler_config(self) -> str:
        """The lines of rattler's configuration that let this process log in to channels."""
        if not self.channels:
            return ""
        # In memory: nothing that this process writes to a disk has a secret in it.
        file = os.memfd_create("logins")
        os.write(file, rattler_file(self.channels).encode())
        return f'\nauthentication-override-file = "/proc/self/fd/{file}"'

    def hide(self, text: str) -> str:
        """A message without secrets."""
        return without_secrets(text, [secret for _, secret in self.channels.values()])


async def log_in(
    registries: Sequence[RegistryAuth], docker_config: dagger.Secret | None, channels: Sequence[ChannelAuth]
) -> Logins:
    """Give the engine the credentials of registries, for all that this call pulls, and read those of channels.

    Raises:
        PipelineError: Docker's file or a channel's secret cannot be used.
    """
    found, _ = await known_logins(registries, docker_config)
    # Another one each time: a call that the engine remembers would give it nothing.
    container = dag.container().with_env_variable("LOGIN", uuid.uuid4().hex)
    for host, login in found.items():
        if login.secret:
            username = "" if login.username == TOKEN else login.username
            container = container.with_registry_auth(host, username, login.secret)
    if found:
        await container.env_variable("LOGIN")
    return Logins(
        registries=frozenset(found),
        channels={
            auth.host: (auth.username, check_secret(auth.host, await auth.secret.plaintext())) for auth in channels
        },
    )
