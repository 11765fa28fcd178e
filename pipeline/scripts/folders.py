"""Folders of an image behind links, among them those of Python packages, each listed once.

conda-forge's Python 3.10 to 3.12 has such a link: `lib/python3.1`, which leads to `python3.12`.
"""

import errno
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

#: The time of all files, 2 January 1980 in UTC: the first day that ZIP archives can hold in every time zone.
TIME = 315_619_200
#: Number of links on the way to a file that Linux follows.
LINKS = 40


def inside(root: Path, path: str) -> Path:
    """Return the real path of a file of an image as a process in the image finds it: its links may be absolute.

    Args:
        root: mount point of the image's file system.
        path: absolute path in the image; what does not exist is taken as it is.

    Raises:
        OSError: its links make a circle.
    """
    real, links = root, 0
    parts = list(reversed(PurePosixPath(path).parts))
    while parts:
        part = parts.pop()
        if part == "/":
            real = root
        elif part == "..":
            real = real if real == root else real.parent
        elif (real / part).is_symlink():
            links += 1
            if links > LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            parts.extend(reversed((real / part).readlink().parts))
        else:
            real /= part
    return real


def wheels(prefix: Path, name: str, owned: Iterable[str]) -> list[Path]:
    """Return one file from the `.dist-info` of each Python package that is not part of a conda package.

    Args:
        prefix: path of the environment.
        name: name of the file.
        owned: paths of all files of conda packages, relative to the environment.
    """
    of_conda = set(real_paths(prefix, (path for path in owned if path.endswith(f".dist-info/{name}"))))
    files = [path for site in site_packages(prefix) for path in sorted(site.glob(f"*.dist-info/{name}"))]
    real = real_paths(prefix, (path.relative_to(prefix).as_posix() for path in files))
    # Of two paths to one file, keep the first.
    by_real_path = dict(zip(reversed(real), reversed(files), strict=True))
    return [by_real_path[path] for path in dict.fromkeys(real) if path not in of_conda]


def site_packages(prefix: Path) -> list[Path]:
    """Return the folders that Python packages are installed into, each once, by a path without links if it has one."""
    named = sorted(prefix.glob("lib/python*/site-packages"), key=lambda path: (path.parent.is_symlink(), path))
    top = os.path.realpath(prefix)
    folders: dict[str, Path] = {}
    for path in [*map(prefix.joinpath, _declared(prefix)), *named]:
        real = os.path.realpath(path)
        # A link may lead out of the environment, to files that are not part of it.
        if path.is_dir() and Path(real).is_relative_to(top):
            folders.setdefault(real, path)
    return list(folders.values())


def _declared(prefix: Path) -> Iterator[str]:
    """Yield the folder of packages that the conda record of Python declares; older records declare none."""
    for record in sorted(prefix.glob("conda-meta/python-*.json")):
        if path := json.loads(record.read_text(encoding="utf-8")).get("python_site_packages_path"):
            yield path


def real_paths(prefix: Path, paths: Iterable[str]) -> list[str]:
    """Return paths below an environment without links to folders in them."""
    top = os.path.realpath(prefix)
    folders: dict[str, str] = {}
    result = []
    for path in paths:
        folder, _, name = path.rpartition("/")
        if folder not in folders:
            folders[folder] = os.path.relpath(os.path.realpath(f"{top}/{folder}"), top)
        result.append(os.path.normpath(f"{folders[folder]}/{name}"))
    return result
