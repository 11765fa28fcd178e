"""List the packages in an image's file system from the databases of its package managers.

Usage: python -m pipeline.scripts.contents ROOT PREFIX [LISTED]. ROOT is the mount point of the image's file system.
PREFIX is the path of the locked environment in it, and empty for an image without one. LISTED is a file with the output
of the image's own rpm for `RPM_QUERY`. Prints `Contents` in JSON.
"""

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from email.parser import HeaderParser
from pathlib import Path
from typing import Final

from pipeline.scripts import databases
from pipeline.scripts.folders import real_paths, wheels
from pipeline.scripts.messages import Contents, Installed

#: Folders that Python packages are installed into; what is deeper in them are their modules and copies of others.
SITES: Final = ("site-packages", "dist-packages")
#: Folders of the system, which are empty in an image.
SYSTEM: Final = ("dev", "proc", "sys")
#: The folder with the metadata of a Python package, or the file; in a path, the end or followed by more.
METADATA: Final = re.compile(r"\.(?:dist|egg)-info(?=/|$)")
#: Credentials in the address of a channel: those of conda's token, and of a user.
CREDENTIALS: Final = re.compile(r"(?<=://)[^/@]+@|/t/[^/]+(?=/)")


def conda_packages(prefix: Path) -> tuple[list[Installed], set[str]]:
    """Read the conda packages of an environment, and the paths in it of all their files.

    Raises:
        ValueError: the record of a package cannot be read.
    """
    packages: list[Installed] = []
    files: set[str] = set()
    for path in sorted(prefix.glob("conda-meta/*.json")):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            package = Installed(
                kind="conda",
                name=record["name"],
                version=record["version"],
                build=record["build"],
                url=CREDENTIALS.sub("", record.get("url") or ""),
                sha256=record.get("sha256"),
                md5=record.get("md5"),
                license=record.get("license"),
            )
        except (ValueError, LookupError, AttributeError, TypeError) as error:
            raise ValueError(f"{path} is not the record of a conda package") from error
        packages.append(package)
        files.update(record.get("files", []))
    return packages, files


def pypi_packages(metadata: Iterable[Path]) -> Iterator[Installed]:
    """Read Python packages from the files with their metadata; pip ignores one without name or version, too."""
    for file in metadata:
        # Headers only: the long description follows them.
        head = HeaderParser().parsestr(databases.read_text(file), headersonly=True)
        if head["Name"] and head["Version"]:
            license_ = head["License-Expression"] or head["License"]
            # Some have the whole text of the licence there.
            name = license_ if license_ and "\n" not in license_ else None
            yield Installed(kind="pypi", name=str(head["Name"]), version=str(head["Version"]), license=name)


def packages_elsewhere(root: Path, prefix: str, owned: set[str]) -> Iterator[Installed]:
    """Read the packages in all folders but the locked environment.

    Args:
        root: mount point of the image's file system.
        prefix: path of the environment in it.
        owned: paths, in the image, of metadata that belongs to packages of the distribution.
    """
    left_out = {root / name for name in (*SYSTEM, *filter(None, [prefix.lstrip("/")]))}
    found: list[Path] = []
    for name, folders, files in os.walk(root):
        folder = Path(name)
        if folder in left_out or _is_cache(folder, folders, files):
            folders.clear()
            continue
        if "conda-meta" in folders:
            packages, own = conda_packages(folder)
            yield from packages
            top = folder.relative_to(root).as_posix()
            owned = owned | {f"{top}/{path}" for path in metadata_of(real_paths(folder, metadata_of(own)))}
        # pip renames what it removes, with such a mark.
        here = [entry for entry in (*folders, *files) if METADATA.search(entry) and not entry.startswith("~")]
        found += (folder / entry for entry in here)
        if folder.name in SITES:
            folders.clear()
        elif here:
            folders[:] = [entry for entry in folders if not (folder / entry / "__init__.py").is_file()]
    yield from pypi_packages(
        file
        for path in sorted(found)
        if path.relative_to(root).as_posix() not in owned
        for file in (path / "METADATA", path / "PKG-INFO", path)
        if file.is_file()
    )


def _is_cache(folder: Path, folders: Iterable[str], files: Iterable[str]) -> bool:
    """Return whether what is in a folder is not installed: a cache of uv, or a package that conda has unpacked."""
    # uv marks its virtual environments as caches, too.
    marked = "CACHEDIR.TAG" in files and "pyvenv.cfg" not in files
    return marked or ("info" in folders and (folder / "info/index.json").is_file())


def metadata_of(files: Iterable[str]) -> set[str]:
    """Return the paths, relative to the root, of Python packages' metadata that files belong to."""
    found = ((file, METADATA.search(file)) for file in files)
    return {path[: match.end()].lstrip("/") for path, match in found if match}


def read(root: Path, prefix: str, listed: str = "") -> Contents:
    """Read all packages of an image."""
    environment: list[Installed] = []
    if prefix:
        folder = root / prefix.lstrip("/")
        environment, files = conda_packages(folder)
        environment += pypi_packages(wheels(folder, "METADATA", files))
    of = databases.distribution(root)
    readers = (
        databases.dpkg_packages(root, of),
        databases.apk_packages(root, of),
        databases.rpm_packages(listed, of),
        databases.copied_packages(root),
    )
    owners = (databases.dpkg_files(root), databases.apk_files(root), databases.rpm_files(listed))
    owned = {path for files in owners for path in metadata_of(files)}
    return Contents(
        environment=environment,
        elsewhere=list(packages_elsewhere(root, prefix, owned)),
        system=[package for packages in readers for package in packages],
        distribution=str(of),
        rpm=databases.rpm_database(root),
    )


if __name__ == "__main__":
    listed = Path(sys.argv[3]).read_text(encoding="utf-8", errors="replace") if len(sys.argv) > 3 else ""  # noqa: PLR2004
    print(json.dumps(asdict(read(Path(sys.argv[1]), sys.argv[2], listed))))
