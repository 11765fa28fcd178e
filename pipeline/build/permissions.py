"""Who may read and change the files of an image, whatever packages and Dockerfiles made of them."""

from typing import Final

import dagger

#: What a Linux system keeps to itself: nothing there is opened to all users, nor looked for what is not.
KEPT: Final = (
    "/proc", "/sys", "/dev", "/run", "/root", "/etc/*shadow*", "/etc/*-", "/etc/.*", "/etc/security", "/etc/sudoers*",
    "/etc/ssl/private", "/var/cache", "/var/lib/apt", "/var/lib/dpkg", "/var/lib/private", "/var/log", "/var/spool",
)  # fmt: skip
#: The words of `find` that are true of these.
IS_KEPT: Final = tuple(word for path in KEPT for word in ("-o", "-path", path))[1:]

#: Below $1, every user reads each file and enters each folder, nobody but its owner writes a file, and where many may
#: write to a folder nobody removes what is another's. What the other arguments, words of `find`, are true of stays as
#: it is. Only what is not so already is touched: a touched file is written to the layer again.
_OPEN: Final = r"""
path=$1
shift
find "$path" -xdev \( "$@" \) -prune \
  -o -type f \( ! -perm -444 -o -perm -002 -o -perm /111 ! -perm -111 \) -exec chmod a+rX,o-w {} + \
  -o -type d -perm -002 ! -perm -1000 -exec chmod a+rX,+t {} + \
  -o -type d ! -perm -555 -exec chmod a+rX {} +
"""


def with_permissions(container: dagger.Container, path: str = "/") -> dagger.Container:
    """Let every user read and run what is below a path, and nobody change what others run.

    Args:
        container: its user is root; it has a shell, find and chmod.
        path: of the folder.
    """
    return container.with_exec(["sh", "-euc", _OPEN, "sh", path, *IS_KEPT])
