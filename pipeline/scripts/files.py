"""Print the state of files in an image's root file system, from another container: the image may have no shell.

Usage: python -m pipeline.scripts.files ROOT [TEXT PATH]..., with "yes" as TEXT to print the file's text as well. For
each path it prints its kind; its mode, its owner's name and the owner's number; and its text. A zero byte ends each of
the three.
"""

import os
import stat
import sys
from itertools import batched
from pathlib import Path
from typing import Final

from pipeline.scripts.folders import inside

#: Bytes that are read of a file.
TEXT: Final = 1_000_000


def owner(root: Path, number: int) -> str:
    """Return the name of a user of an image; "UNKNOWN" if it has none of this number, as `stat` prints it."""
    accounts = inside(root, "/etc/passwd")
    lines = accounts.read_text(encoding="utf-8", errors="replace").splitlines() if accounts.is_file() else []
    fields = (line.split(":") for line in lines)
    return next((name for name, *rest in fields if rest[1:2] == [str(number)]), "UNKNOWN")


def describe(root: Path, path: str, *, with_text: bool) -> tuple[str, str, bytes]:
    """Return kind, facts and text of a file; all are empty where nothing is there."""
    try:
        real = inside(root, path)
        status = os.lstat(real)
    except OSError:
        return "", "", b""
    is_file = stat.S_ISREG(status.st_mode)
    kind = "folder" if stat.S_ISDIR(status.st_mode) else "file" if is_file else "other"
    text = b""
    if with_text and is_file:
        with real.open("rb") as file:
            text = file.read(TEXT).replace(b"\0", b"")
    return kind, f"{stat.S_IMODE(status.st_mode):o} {owner(root, status.st_uid)} {status.st_uid}", text


def main(root: str, *arguments: str) -> int:
    """Run as a command; see the module's docstring."""
    for with_text, path in batched(arguments, 2):
        kind, facts, text = describe(Path(root), path, with_text=with_text == "yes")
        sys.stdout.buffer.write(f"{kind}\0{facts}\0".encode() + text + b"\0")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
