"""Data that the engine and the registries keep from one start to the next, and whether it can be trusted.

The engine writes its databases without waiting for the disk, and several of them have to fit each other. When it
ended before its machine did, they do. After a power cut, or where the folder was copied in the middle of writing, they
may not: then the machine starts with nothing, which costs time alone.
"""

import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from tests.sandbox.state import State

#: Discarded data waits under this name, with a number, until it is deleted.
DISCARDED: Final = "discarded"
#: Folders for the time of a step have this name, with more.
TEMPORARY: Final = "temporary"


def holds_anything(state: State) -> bool:
    """Whether the engine would find anything of an earlier run."""
    return any(state.engine.iterdir())


def is_trusted(state: State) -> bool:
    """Whether the engine ended before its machine the last time, or has never run."""
    return state.ended.exists() or not holds_anything(state)


def seal(state: State) -> None:
    """Note that the engine has ended and its machine has not. It has then synchronized its disk, if it could."""
    state.ended.touch()


def unseal(state: State) -> None:
    """Forget that the engine has ended: it is about to write again."""
    state.ended.unlink(missing_ok=True)


def discard(state: State, *folders: Path) -> None:
    """Put folders of the state aside, for :func:`sweep`, and leave empty ones; the machine has to be down."""
    aside = state.folder / f"{DISCARDED}.{time.time_ns()}"
    aside.mkdir()
    for folder in folders:
        folder.rename(aside / folder.name)
        folder.mkdir()


def remove(state: State, folder: Path) -> None:
    """Put a folder aside and delete it beside what goes on; what is left when that is killed, :func:`sweep` deletes."""
    aside = state.folder / f"{DISCARDED}.{time.time_ns()}"
    with suppress(FileNotFoundError):  # somebody else was first
        folder.rename(aside)
        _delete(["rm", "-rf", "--", str(aside)])


def sweep(state: State) -> None:
    """Delete what was put aside, and what one that was killed has left: beside what goes on, since it may be gigabytes.

    Nobody else may be starting the sandbox.
    """
    found = [str(path) for pattern in (f"{DISCARDED}.*", f"{TEMPORARY}-*") for path in state.folder.glob(pattern)]
    if not found:
        return
    # One at a time; the lock ends with its process.
    _delete(["flock", "--nonblock", str(state.run / "sweep.lock"), "rm", "-rf", "--", *found])


def _delete(command: list[str]) -> None:
    nothing = subprocess.DEVNULL
    subprocess.run(["setsid", "--fork", *command], check=False, stdin=nothing, stdout=nothing, stderr=nothing)
