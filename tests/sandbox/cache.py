"""Built parts of the sandbox, kept under ``~/.cache`` by the hash of what they are made from.

An entry is a folder ``<name>/<key>/`` with the part in ``part/`` and, beside it, ``manifest.json``: the size, time and
hash of each file. The manifest is written last, so an entry without one is half-written; a file that does not match
its line is corrupt. Both are thrown away and made again.
"""

import hashlib
import json
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

#: Entries of one part that are kept: that of this checkout, and that of the one before or beside it.
KEPT: Final = 2
#: Part of every key: change it when the way entries are kept changes.
FORMAT: Final = "1"


def root() -> Path:
    """The folder that holds everything the sandbox keeps."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "maniac-pipeline"


def digest(*inputs: str | Path) -> str:
    """The key of a part: a hash over strings, the bytes of files, and the names and bytes of all files in folders."""
    total = hashlib.sha256(FORMAT.encode())
    for value in inputs:
        if isinstance(value, str):
            total.update(f"s{len(value)}:{value}".encode())
            continue
        if not value.exists():
            raise FileNotFoundError(f"{value}: part of the sandbox's own files, but not there")
        files = sorted(p for p in value.rglob("*") if p.is_file()) if value.is_dir() else [value]
        for file in files:
            if "__pycache__" in file.parts:
                continue
            name = str(file.relative_to(value)) if value.is_dir() else file.name
            total.update(f"f{name}:{_file_hash(file)}".encode())
    return total.hexdigest()[:24]


def ensure(
    name: str,
    inputs: Iterable[str | Path],
    make: Callable[[Path], None],
    *,
    say: Callable[[str], None] = print,
) -> Path:
    """Return the folder of a part, making it first where it is missing, half-written or corrupt.

    Args:
        name: what the part is called, in the cache and to people.
        inputs: all that the part is made from: see :func:`digest`.
        make: writes the part into the empty folder that it is given; what it raises reaches the caller, and leaves
            no entry.
        say: gets a line when the part is being made, and one on how long that took.
    """
    key = digest(*inputs)
    entry = root() / name / key
    entry.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(entry.parent / f".{key}.lock"):
        wrong = damage(entry)
        if wrong is None:
            os.utime(entry)
            return entry / "part"
        if entry.exists():
            say(f"{name}: {wrong}; making it again")
            _remove(entry)
        started = time.monotonic()
        say(f"{name}: making it …")
        # A tool of one that was killed may still write there, so the new one has another name.
        _remove_halves(entry.parent, key)
        half = Path(tempfile.mkdtemp(prefix=f".{key}.", suffix=".half", dir=entry.parent))
        half.chmod(0o755)
        part = half / "part"
        part.mkdir()
        try:
            make(part)
        except BaseException:
            shutil.rmtree(half, ignore_errors=True)
            raise
        (half / "manifest.json").write_text(json.dumps(_describe(part), indent=0))
        half.rename(entry)
        _prune(entry.parent)
        _remove_forgotten(entry.parent)
        say(f"{name}: made in {time.monotonic() - started:.0f} s")
        return entry / "part"


def _prune(folder: Path) -> None:
    """Remove all entries of a part but those that were used last: each is up to gigabytes."""
    entries = [path for path in folder.iterdir() if not path.name.startswith(".")]
    for entry in sorted(entries, key=lambda path: path.stat().st_mtime, reverse=True)[KEPT:]:
        _remove(entry)


def _remove_halves(folder: Path, key: str) -> None:
    """Remove what was left of an entry by one that was killed while making it; its lock has to be held."""
    for left in folder.glob(f".{key}.*.half"):
        shutil.rmtree(left, ignore_errors=True)


def _remove_forgotten(folder: Path) -> None:
    """Remove what was left of other entries, which nobody may ever make again."""
    for key in {path.name.split(".")[1] for path in folder.glob(".*.half")}:
        # Who makes it now holds the lock.
        with suppress(Timeout), FileLock(folder / f".{key}.lock", timeout=0):
            _remove_halves(folder, key)


def holds(name: str, inputs: Iterable[str | Path]) -> bool:
    """Whether a part is there and whole, so that nothing is needed to make it."""
    return damage(root() / name / digest(*inputs)) is None


def damage(entry: Path) -> str | None:
    """The reason that an entry cannot be used, or None where it can be."""
    try:
        found = json.loads((entry / "manifest.json").read_text())
        recorded = [(name, size, mtime, value) for name, (size, mtime, value) in found.items()]
    except (FileNotFoundError, NotADirectoryError):
        return "half-written"
    except (ValueError, TypeError, AttributeError, OSError):
        return "its list of files cannot be read"
    part = str(entry / "part")
    for name, size, mtime, value in recorded:
        wrong = _file_damage(f"{part}/{name}", size, mtime, value)
        if wrong is not None:
            return f"{name} {wrong}"
    return None


def _file_damage(path: str, size: int, mtime: int, value: str) -> str | None:
    """The damage of a file, against its line; strings and no ``Path``, since there are tens of thousands."""
    try:
        found = os.lstat(path)
    except OSError:
        return "is gone"
    if stat.S_ISLNK(found.st_mode):
        return None if os.readlink(path) == value else "points elsewhere"  # noqa: PTH115
    if found.st_size != size:
        return f"has {found.st_size} bytes instead of {size}"
    # Reading gigabytes at each start would cost more than it finds: only a file that was written to is read, and one
    # that was only copied gets its time back, so that it is read once.
    if found.st_mtime_ns != mtime:
        if _file_hash(Path(path)) != value:
            return "was changed"
        os.utime(path, ns=(found.st_atime_ns, mtime))
    return None


def _describe(part: Path) -> dict[str, tuple[int, int, str]]:
    lines = {}
    for path in sorted(part.rglob("*")):
        found = path.lstat()
        if stat.S_ISREG(found.st_mode):
            lines[str(path.relative_to(part))] = (found.st_size, found.st_mtime_ns, _file_hash(path))
        elif stat.S_ISLNK(found.st_mode):
            lines[str(path.relative_to(part))] = (0, 0, str(path.readlink()))
    return lines


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
