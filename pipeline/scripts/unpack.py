"""Unpack fetched conda packages into pixi's package cache, so that pixi downloads nothing.

Usage: unpack.py FETCHED ARCHIVES TARGET. FETCHED is the file DONE of fetch.py, ARCHIVES its cache. TARGET gets a folder
for each package. Exits with ``DAMAGED`` if an archive is missing or is not the locked one, so that it must be fetched
again, and with 1 after another failure.
"""

import contextlib
import hashlib
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final

from rattler.package_streaming import extract

#: Exit code: the cache does not have what was fetched into it.
DAMAGED: Final = 92
#: Hash functions by their number of hexadecimal digits.
KINDS: Final = {64: "sha256", 32: "md5"}


def unpack(archive: Path, folder: Path) -> tuple[int, str]:
    """Unpack an archive whose name is its hash; return the exit code, and the failure if it is not 0."""
    locked = archive.name.partition(".")[0]
    try:
        # py-rattler returns both hashes of what it has read, so no other process can change it in between.
        is_locked = locked in {value.hex() for value in extract(archive, folder)}
    except Exception as error:  # noqa: BLE001  # py-rattler raises classes of all kinds
        if hash_of(archive, KINDS[len(locked)]) == locked:
            return 1, f"{folder.name} cannot be unpacked: {error}"
        is_locked = False
    if not is_locked:
        return DAMAGED, f"{folder.name} is missing or damaged in the cache of packages"
    # The time of the last use. The archive may be a copy that cannot be written.
    with contextlib.suppress(OSError):
        os.utime(archive)
    return 0, ""


def hash_of(archive: Path, kind: str) -> str:
    """Return the hash of an archive, in hexadecimal digits; empty if it cannot be read."""
    try:
        with archive.open("rb") as opened:
            return hashlib.file_digest(opened, kind).hexdigest()
    except OSError:
        return ""


def size(archive: Path) -> int:
    """Return the size of an archive; 0 if it is missing."""
    return archive.stat().st_size if archive.exists() else 0


def main(fetched: Path, archives: Path, target: Path) -> int:
    """Run as a command; see the module's docstring."""
    target.mkdir(parents=True, exist_ok=True)
    lines = (line.split(" ", 1) for line in fetched.read_text(encoding="utf-8").splitlines())
    packages = [(archives / archive, target / name) for archive, name in lines]
    # Largest first, so that no large package is left for the end, when the other cores have no work.
    packages.sort(key=lambda package: (-size(package[0]), package))
    # py-rattler unpacks one archive at a time in a process. Fork: a new interpreter would not find its libraries.
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("fork")) as pool:
        results = list(pool.map(unpack, *zip(*packages, strict=True)))
    print("".join(f"{failure}\n" for _, failure in results if failure), end="", file=sys.stderr)
    return max((code for code, _ in results), default=0)


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
