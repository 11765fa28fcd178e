"""Add to an image's root file system what every image gets, from another container: the image itself runs nothing.

Usage: python -m pipeline.scripts.finalize ROOT COPY TREE WRITABLE KEPT. ROOT is the mount point of the image's root
file system, which is changed. COPY is a second mount of the same, to throw away. TREE is a folder with files to copy
over it; it gets the loader's cache, too. WRITABLE is a JSON array of folders that all users may write to. KEPT is a
JSON array of patterns of paths; with it, the permission of others to change files is removed from all other paths;
"null" leaves them as they are.

The same files always give the same layer: everything that is copied gets one time, and so do the folders above it,
which change with their entries. Existing folders keep their mode and owner, and may be behind links (/lib), as with
`COPY` in a Dockerfile.
"""

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Final

from pipeline.scripts.folders import TIME, inside

#: Loader's cache.
CACHE: Final = "etc/ld.so.cache"
#: Programs that make it. Ubuntu's /sbin/ldconfig is a script for the other one.
LDCONFIGS: Final = ("/sbin/ldconfig.real", "/sbin/ldconfig", "/usr/sbin/ldconfig", "/usr/bin/ldconfig")
#: First bytes of a program that needs no interpreter.
ELF: Final = b"\x7fELF"


def find_ldconfig(root: Path) -> Path | None:
    """Return the ldconfig of an image's C library; None if it has none.

    musl reads no cache: what Alpine has by this name is a shell script for packages that call it.
    """
    for name in LDCONFIGS:
        path = inside(root, name)
        if path.is_file():
            with path.open("rb") as file:
                if file.read(len(ELF)) == ELF:
                    return path
    return None


def make_cache(root: Path, tree: Path) -> None:
    """Make the loader's cache for an image with a tree's configuration, and add it to the tree.

    Args:
        root: the image's root file system, to throw away: links are made in it.
        tree: files that the image gets.
    """
    ldconfig = find_ldconfig(root)
    if ldconfig is None:
        return
    for file in (tree / "etc/ld.so.conf.d").glob("*.conf"):
        folder = inside(root, "/etc/ld.so.conf.d")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, folder)
    # A static program: it needs no library of the image, and takes the folder as its root.
    subprocess.run([ldconfig, "-r", root], check=True)
    shutil.copyfile(inside(root, f"/{CACHE}"), tree / CACHE)


def place(tree: Path, root: Path, folder: str = "/") -> None:
    """Copy a folder's entries into a folder of an image."""
    target = inside(root, folder)
    for entry in sorted(tree.iterdir()):
        name = f"{folder.rstrip('/')}/{entry.name}"
        if entry.is_dir() and not entry.is_symlink() and inside(root, name).is_dir():
            place(entry, root, name)
            continue
        there = target / entry.name
        there.unlink(missing_ok=True)
        subprocess.run(["cp", "--archive", entry, there], check=True)
        settle(there)
    os.utime(target, (TIME, TIME))


def settle(path: Path) -> None:
    """Give a file, or a folder with all its content, one time."""
    if path.is_dir() and not path.is_symlink():
        for entry in path.iterdir():
            settle(entry)
    os.utime(path, (TIME, TIME), follow_symlinks=False)


def open_to_all(root: Path, folder: str) -> None:
    """Let all users write to a folder of an image, which is made where it is not there.

    It is sticky, so that users cannot remove each other's files.
    """
    for parent in reversed(PurePosixPath(folder).parents):
        _make(root, str(parent))
    path = _make(root, folder)
    if stat.S_IMODE(path.stat().st_mode) != 0o1777:  # noqa: PLR2004  # a mode is read best as one
        path.chmod(0o1777)


def _make(root: Path, folder: str) -> Path:
    path = inside(root, folder)
    if not path.exists():
        path.mkdir()
        path.chmod(0o755)
        for changed in (path, path.parent):
            os.utime(changed, (TIME, TIME))
    return path


def protect(root: Path, kept: Sequence[str]) -> None:
    """Remove the permission of others to change files, and make folders sticky that all may write to.

    So nobody can change or remove what is another's. No file is opened: one that is private may be so on purpose, and
    `scripts/inspect.sh` reports it. A mode that is right is not set: each file that is touched is written to the layer
    again.

    Args:
        root: root file system.
        kept: patterns of paths that stay as they are, with all that is below them.
    """
    for name, folders, files in os.walk(str(root)):
        below = name.removeprefix(str(root))
        folders[:] = sorted(folder for folder in folders if not _matches(f"{below}/{folder}", kept))
        for entry in (*folders, *files):
            path = f"{name}/{entry}"
            mode = os.lstat(path).st_mode
            if stat.S_ISDIR(mode) and mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
                Path(path).chmod(stat.S_IMODE(mode) | stat.S_ISVTX)
            elif stat.S_ISREG(mode) and mode & stat.S_IWOTH and not _matches(f"{below}/{entry}", kept):
                Path(path).chmod(stat.S_IMODE(mode) & ~stat.S_IWOTH)


def _matches(path: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in patterns)


def main(root: str, copy: str, tree: str, writable: str, kept: str) -> int:
    """Run as a command; see the module's docstring."""
    os.umask(0o022)
    patterns: list[str] | None = json.loads(kept)
    if patterns is not None:
        protect(Path(root), patterns)
    make_cache(Path(copy), Path(tree))
    place(Path(tree), Path(root))
    for folder in json.loads(writable):
        open_to_all(Path(root), folder)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
