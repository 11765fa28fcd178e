"""Unpack fetched conda packages into pixi's package cache, so that pixi downloads nothing.

Usage: unpack.py FETCHED ARCHIVES TARGET. FETCHED is the file DONE of fetch.py, ARCHIVES its cache. TARGET gets a folder
for each package.
"""

import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from rattler.package_streaming import extract


def unpack(archive: Path, folder: Path) -> str:
    """Unpack an archive, and return the failure, or an empty string."""
    try:
        extract(archive, folder)
    except Exception as error:  # noqa: BLE001  # py-rattler raises classes of all kinds
        return f"{folder.name} cannot be unpacked: {error}"
    return ""


def main(fetched: Path, archives: Path, target: Path) -> int:
    """Run as a command; see the module's docstring."""
    target.mkdir(parents=True, exist_ok=True)
    lines = (line.split(" ", 1) for line in fetched.read_text(encoding="utf-8").splitlines())
    packages = [(archives / archive, target / name) for archive, name in lines]
    # Largest first, so that no large package is left for the end, when the other cores have no work.
    packages.sort(key=lambda package: (-package[0].stat().st_size, package))
    # py-rattler unpacks one archive at a time in a process. Fork: a new interpreter would not find its libraries.
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("fork")) as pool:
        failures = [failure for failure in pool.map(unpack, *zip(*packages, strict=True)) if failure]
    print("".join(f"{failure}\n" for failure in failures), end="", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
