"""Where an environment has its Python packages. A link to a folder is no folder of its own: each is named once.

conda-forge's Python 3.10 to 3.12 has such a link: `lib/python3.1`, which leads to `python3.12`.
"""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path


def wheels(prefix: Path, name: str, owned: Iterable[str]) -> list[Path]:
    """A file of the `.dist-info` of each Python package that no conda package brought.

    Args:
        prefix: of the environment.
        name: of the file.
        owned: the paths in the environment of all files of conda packages.
    """
    brought = set(real_paths(prefix, (path for path in owned if path.endswith(f".dist-info/{name}"))))
    there = [path for site in site_packages(prefix) for path in sorted(site.glob(f"*.dist-info/{name}"))]
    real = real_paths(prefix, (path.relative_to(prefix).as_posix() for path in there))
    # Of two paths to one file, the first one.
    found = dict(zip(reversed(real), reversed(there), strict=True))
    return [found[path] for path in dict.fromkeys(real) if path not in brought]


def site_packages(prefix: Path) -> list[Path]:
    """The folders that Python packages are installed into, each by one path: one without links, where it has one."""
    named = sorted(prefix.glob("lib/python*/site-packages"), key=lambda path: (path.parent.is_symlink(), path))
    top = os.path.realpath(prefix)
    found: dict[str, Path] = {}
    for path in [*map(prefix.joinpath, _declared(prefix)), *named]:
        real = os.path.realpath(path)
        # A link may lead out of the environment, to what is not part of it.
        if path.is_dir() and Path(real).is_relative_to(top):
            found.setdefault(real, path)
    return list(found.values())


def _declared(prefix: Path) -> Iterator[str]:
    """Where Python itself says that packages are, in its record of conda's: not all of them do."""
    for record in sorted(prefix.glob("conda-meta/python-*.json")):
        if path := json.loads(record.read_text(encoding="utf-8")).get("python_site_packages_path"):
            yield path


def real_paths(prefix: Path, paths: Iterable[str]) -> list[str]:
    """Paths below an environment, each without the links to folders that it leads through."""
    top = os.path.realpath(prefix)
    folders: dict[str, str] = {}
    found = []
    for path in paths:
        folder, _, name = path.rpartition("/")
        if folder not in folders:
            folders[folder] = os.path.relpath(os.path.realpath(f"{top}/{folder}"), top)
        found.append(os.path.normpath(f"{folders[folder]}/{name}"))
    return found
