"""File permissions of an image, independent of those that packages and Dockerfiles set."""

from typing import Final

import dagger

#: Paths that a Linux system keeps private: nothing there is opened to all users, and nothing there is a finding.
KEPT: Final = (
    "/proc", "/sys", "/dev", "/run", "/root", "/etc/*shadow*", "/etc/*-", "/etc/.*", "/etc/security", "/etc/sudoers*",
    "/etc/ssl/private", "/var/cache", "/var/lib/apt", "/var/lib/dpkg", "/var/lib/private", "/var/log", "/var/spool",
)  # fmt: skip
#: Expression of `find` that matches these paths.
IS_KEPT: Final = tuple(word for path in KEPT for word in ("-o", "-path", path))[1:]

#: Below $1, lets every user read each file and enter each folder, removes the write permission of others from files,
#: and makes folders sticky that all may write to. The other arguments are an expression of `find` for paths to leave
#: out. chmod runs only where a mode has to change: each file that it touches is written to the layer again.
_OPEN: Final = r"""
path=$1
shift
find "$path" -xdev \( "$@" \) -prune \
  -o -type f \( ! -perm -444 -o -perm -002 -o -perm /111 ! -perm -111 \) -exec chmod a+rX,o-w {} + \
  -o -type d -perm -002 ! -perm -1000 -exec chmod a+rX,+t {} + \
  -o -type d ! -perm -555 -exec chmod a+rX {} +
"""


def with_permissions(container: dagger.Container, path: str = "/") -> dagger.Container:
    """Let every user read and run the files below a path, and remove others' permission to change them.

    Args:
        container: a container whose user is root; it has a shell, find and chmod.
        path: path of the folder.
    """
    return container.with_exec(["sh", "-euc", _OPEN, "sh", path, *IS_KEPT])
