"""File permissions of a Dockerfile's image: independent of the checkout's umask, and no more than its author gives."""

import os
import stat
from pathlib import Path
from typing import Final

import dagger

from pipeline.build.tool_container import read_script

#: Paths that the checks of an image do not look at: a Linux system keeps them private, or they are not of the image.
KEPT: Final = (
    "/proc", "/sys", "/dev", "/run", "/root", "/etc/*shadow*", "/etc/*-", "/etc/.*", "/etc/security", "/etc/sudoers*",
    "/etc/ssl/private", "/var/cache", "/var/lib/apt", "/var/lib/dpkg", "/var/lib/private", "/var/log", "/var/spool",
)  # fmt: skip
#: Expression of `find` that matches these paths.
IS_KEPT: Final = tuple(word for path in KEPT for word in ("-o", "-path", path))[1:]

#: The modes that git gives to files and folders where nobody sets another umask.
_FILES: Final = frozenset({0o644, 0o755})
_FOLDER: Final = 0o755
#: Folder for files while their modes are changed.
_SOURCES: Final = "/.sources"


def has_git_modes(folder: Path) -> bool:
    """Return whether all files and folders below a folder have the modes that git gives them, which others may read.

    git records one bit of a mode, whether a file is a program. All others depend on the umask of whoever checked it
    out, so they are nobody's decision.
    """
    for parent, folders, files in os.walk(folder):
        for name in (".", *folders, *files):
            status = os.lstat(f"{parent}/{name}")
            mode = stat.S_IMODE(status.st_mode)
            if stat.S_ISDIR(status.st_mode) and mode != _FOLDER:
                return False
            if stat.S_ISREG(status.st_mode) and mode not in _FILES:
                return False
    return True


def with_git_modes(folder: dagger.Directory, tools: dagger.Container) -> dagger.Directory:
    """Return a folder of a checkout with the modes that git gives: all may read, and only the owner may write.

    Args:
        folder: the folder.
        tools: an image with `chmod` of coreutils or BusyBox.
    """
    opening = tools.with_user("root").with_directory(_SOURCES, folder)
    return opening.with_exec(["chmod", "-R", "u=rwX,go=rX", _SOURCES]).directory(_SOURCES)


def with_protection(container: dagger.Container) -> dagger.Container:
    """Remove the permission of others to change the files of an image; open none, see ``scripts/protect.sh``.

    Args:
        container: a container whose user is root; it has a shell, find and chmod.
    """
    return container.with_exec(["sh", "-euc", read_script("protect.sh"), "sh", "/", *IS_KEPT])
