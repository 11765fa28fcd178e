"""Unpack fetched conda packages where pixi looks for them, so that it has nothing to download.

Usage: unpack.py FETCHED ARCHIVES TARGET. FETCHED is what fetch.py wrote at its end. TARGET gets a folder for each
package.
"""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from rattler.package_streaming import extract


def unpack(archives: Iterable[tuple[Path, Path]], most: int) -> int:
    """Unpack archives into folders, the largest first: py-rattler does one at a time, so each has a process.

    Args:
        archives: each with the folder that it becomes.
        most: how many processes may run at once.

    Returns:
        How many could not be unpacked.
    """
    running = failed = 0
    for archive, folder in sorted(archives, key=lambda pair: (-pair[0].stat().st_size, pair)):
        if running == most:
            failed += os.wait()[1] != 0
            running -= 1
        if os.fork() == 0:
            code = 1
            try:
                extract(archive, folder)
                code = 0
            except Exception as error:  # noqa: BLE001  # py-rattler raises classes of all kinds
                print(f"{folder.name} cannot be unpacked: {error}", file=sys.stderr, flush=True)
            finally:
                # Nothing of this process is the child's to close.
                os._exit(code)
        running += 1
    for _ in range(running):
        failed += os.wait()[1] != 0
    return failed


def main(fetched: Path, archives: Path, target: Path) -> int:
    """Run as a command; see the module's docstring."""
    target.mkdir(parents=True, exist_ok=True)
    lines = (line.split(" ", 1) for line in fetched.read_text(encoding="utf-8").splitlines())
    failed = unpack(((archives / archive, target / name) for archive, name in lines), os.cpu_count() or 1)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
