"""Folders of the running sandbox that are no built part: sockets, process ids, logs, and what was pushed to it."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.sandbox import cache
from tests.sandbox.errors import SandboxError

#: Linux keeps the path of a socket in 108 bytes, with a zero at the end.
SOCKET_LIMIT: Final = 107


@dataclass(frozen=True)
class State:
    """The state folder; the machine sees it under the same path."""

    folder: Path

    @property
    def run(self) -> Path:
        """The engine's socket and one file a process."""
        return self.folder / "run"

    @property
    def log(self) -> Path:
        """One log a service, and one a step of making the parts."""
        return self.folder / "log"

    @property
    def config(self) -> Path:
        """Written at each start: what the services read."""
        return self.folder / "config"

    @property
    def engine(self) -> Path:
        """The engine's images, volumes and results: ``/var/lib/dagger`` of the machine."""
        return self.folder / "engine"

    @property
    def ended(self) -> Path:
        """Is there while nothing runs and the engine has ended before its machine."""
        return self.folder / "engine-ended"

    @property
    def registry(self) -> Path:
        """One folder a registry, with what was pushed to it."""
        return self.folder / "registry"

    @property
    def secrets(self) -> Path:
        """Keys, certificates and passwords, made once."""
        return self.folder / "secrets"

    @property
    def overlay(self) -> Path:
        """One folder an image, with the ``pixi.toml`` and ``pixi.lock`` that are used instead of its own."""
        return self.folder / "overlay"

    @property
    def client(self) -> Path:
        """An empty configuration of Docker for clients, so that nobody's real passwords are sent."""
        return self.folder / "client"

    @property
    def root(self) -> Path:
        """An empty folder, on which the machine mounts its root in its own namespace."""
        return self.folder / "root"

    @property
    def socket(self) -> Path:
        """The socket on which clients reach the engine."""
        return self.run / "engine.sock"

    def create(self) -> None:
        """Make the folders that are missing.

        Raises:
            SandboxError: the folder cannot hold a socket or an engine's images.
        """
        if len(os.fsencode(self.socket)) > SOCKET_LIMIT:
            raise SandboxError(
                f"{self.socket}: a socket's path may have {SOCKET_LIMIT} bytes and this one has "
                f"{len(os.fsencode(self.socket))}; set XDG_CACHE_HOME to a folder with a shorter path."
            )
        if any(character in str(self.folder) for character in ":,\\\n"):
            raise SandboxError(
                f"{self.folder}: a colon, comma or backslash in this path cannot be mounted; "
                "set XDG_CACHE_HOME to a folder without one."
            )
        for folder in (self.run, self.log, self.config, self.engine, self.registry, self.client, self.root):
            folder.mkdir(parents=True, exist_ok=True)
        self.secrets.mkdir(mode=0o700, exist_ok=True)

    def put_logs_aside(self) -> None:
        """Keep the services' logs of the last run as ``*.log.old``, and begin new ones."""
        for file in self.log.glob("*.log"):
            if not file.name.startswith("make-"):
                file.rename(file.with_suffix(".log.old"))

    def delete(self) -> None:
        """Remove the folder and all that was pushed to or built in the sandbox."""
        if self.folder.exists():
            shutil.rmtree(self.folder, onexc=_unless_gone)


def _unless_gone(_function: object, _path: str, error: BaseException) -> None:
    """Let go what something else has deleted meanwhile."""
    if not isinstance(error, FileNotFoundError):
        raise error


def current() -> State:
    """The state folder of this user's sandbox."""
    return State(cache.root() / "sandbox")
