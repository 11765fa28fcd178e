"""File permissions of a Dockerfile's image: independent of the checkout's umask, and no more than its author gives."""

import os
import stat
from pathlib import Path
from typing import Final

import dagger

#: Paths that the checks of an image do not look at: a Linux system keeps them private, or they are not of the image.
KEPT: Final = (
    "/proc", "/sys", "/dev", "/run", "/root", "/etc/*shadow*", "/etc/*-", "/etc/.*", "/etc/security", "/etc/sudoers*",
    "/etc/ssl/private", "/var/cache", "/var/lib/apt", "/var/lib/dpkg", "/var/lib/private", "/var/log", "/var/spool",
)  # fmt: skip

#: The modes that git gives to files and folders where nobody sets another umask.
_FILES: Final = frozenset({0o644, 0o755})
_FOLDER: Final = 0o755
#: Folder for files while their modes are changed.
_SOURCES: Final = "/.sources"


def is_kept(root: str = "") -> list[str]:
    """Return the expression of `find` that matches these paths, in a root file system at a mount point."""
    return [word for path in KEPT for word in ("-o", "-path", f"{root}{path}")][1:]


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
