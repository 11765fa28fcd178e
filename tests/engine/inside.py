"""Commands in a container, by users of all kinds and where nothing can be written to."""

from collections.abc import Sequence
from typing import Final

import dagger

#: A user that no image knows.
ANYBODY: Final = "12345"
#: All that has to be writable.
WRITABLE: Final = ("/tmp", "/workspace", *(f"/app/.jupyter/{name}" for name in ("config", "data", "runtime")))  # noqa: S108

#: Runs a command as a user ($1), where nothing can be written to but the folders of the other arguments before "--".
_READ_ONLY: Final = """
user=$1
shift
while [ "$1" != -- ]; do mount -t tmpfs -o mode=1777 tmpfs "$1"; shift; done
shift
mount -o remount,bind,ro /
exec setpriv --reuid="$user" --regid="$user" --clear-groups env -u HOME "$@"
"""


async def run(container: dagger.Container, *command: str, entrypoint: bool = False) -> str:
    """The output of a command in an image."""
    return (await container.with_exec(list(command), use_entrypoint=entrypoint).stdout()).strip()


async def lines(container: dagger.Container, script: str) -> set[str]:
    """The lines that a shell script prints in an image, run by root."""
    return set((await run(container.with_user("root"), "sh", "-euc", script)).splitlines())


def read_only(user: str, *command: str, writable: Sequence[str] = WRITABLE) -> list[str]:
    """A command that runs another where there is no home and only some folders can be written to.

    It is for root with all capabilities, and hands over to the user.
    """
    number = "0" if user == "root" else user
    return ["sh", "-euc", _READ_ONLY, "sh", number, *writable, "--", *command]


async def run_read_only(container: dagger.Container, user: str, *command: str) -> str:
    """The output of a command where there is no home and the image is read-only, but for a few folders."""
    root = container.with_user("root").with_exec(read_only(user, *command), insecure_root_capabilities=True)
    return (await root.stdout()).strip()
