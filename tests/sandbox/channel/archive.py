"""Conda packages entry by entry: with modes, links, hard links and folders that `package.write` makes even.

Such packages are small, and made in memory. The same entries give the same bytes.
"""

import bz2
import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from backports import zstd

from tests.sandbox.channel.package import EPOCH, PREFIX

type Kind = Literal["file", "folder", "link", "hard link"]

_TYPES: Final[Mapping[Kind, bytes]] = {
    "file": tarfile.REGTYPE,
    "folder": tarfile.DIRTYPE,
    "link": tarfile.SYMTYPE,
    "hard link": tarfile.LNKTYPE,
}


@dataclass(frozen=True)
class Entry:
    """One entry of a package's archive: its path, and what a file holds or a link leads to."""

    path: str
    content: bytes = b""
    mode: int = 0o644
    kind: Kind = "file"
    target: str = ""
    """Where a link leads to; of a hard link, the path in the package of an entry before it."""


def folder(path: str, mode: int = 0o755) -> Entry:
    """A folder: the archive names it, and the package's list of files does not, as in most packages."""
    return Entry(path, mode=mode, kind="folder")


def link(path: str, target: str) -> Entry:
    """A link."""
    return Entry(path, kind="link", target=target)


def hard_link(path: str, target: str) -> Entry:
    """A file that is another one of the package, too."""
    return Entry(path, kind="hard link", target=target)


def write(  # noqa: PLR0913 -- a package has as many properties
    channel: Path,
    name: str,
    entries: Sequence[Entry],
    *,
    depends: Sequence[str] = (),
    license: str = "MIT",  # noqa: A002 -- what the index calls it
    entry_points: Sequence[str] | None = None,
    ending: Literal[".conda", ".tar.bz2"] = ".conda",
) -> Path:
    """Write version 1.0 of a package into a channel, and return its path.

    Args:
        channel: its folder.
        name: of the package.
        entries: of its archive, in their order.
        depends: specifications such as "numpy >=2,<3".
        license: as its metadata says.
        entry_points: of a noarch Python package; None for all others.
        ending: which format it has.
    """
    noarch = entry_points is not None
    stem = f"{name}-1.0-0"
    target = channel / ("noarch" if noarch else "linux-64") / f"{stem}{ending}"
    target.parent.mkdir(parents=True, exist_ok=True)
    index = {
        "name": name,
        "version": "1.0",
        "build": "0",
        "build_number": 0,
        "depends": list(depends),
        "license": license,
        "subdir": target.parent.name,
        "timestamp": EPOCH * 1000,
        **({"noarch": "python"} if noarch else {"arch": "x86_64", "platform": "linux"}),
    }
    described: dict[str, object] = {
        "about.json": {"license": license, "summary": "A package as awkward as real ones", "home": ""},
        "index.json": index,
        "paths.json": {"paths": list(_lines(entries)), "paths_version": 1},
    }
    if noarch:
        points = {"type": "python", "entry_points": list(entry_points or ())}
        described["link.json"] = {"noarch": points, "package_metadata_version": 1}
    info = [Entry(f"info/{file}", json.dumps(said, indent=1).encode()) for file, said in described.items()]
    target.unlink(missing_ok=True)
    if ending == ".tar.bz2":
        target.write_bytes(bz2.compress(_archive([*info, *entries])))
        return target
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo("metadata.json"), json.dumps({"conda_pkg_format_version": 2}))
        for part, found in {"pkg": entries, "info": info}.items():
            archive.writestr(zipfile.ZipInfo(f"{part}-{stem}.tar.zst"), zstd.compress(_archive(found)))
    return target


def _archive(entries: Iterable[Entry]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for entry in entries:
            member = tarfile.TarInfo(entry.path)
            member.type, member.linkname = _TYPES[entry.kind], entry.target
            member.size, member.mode, member.mtime = len(entry.content), entry.mode, EPOCH
            tar.addfile(member, io.BytesIO(entry.content))
    return data.getvalue()


def _lines(entries: Iterable[Entry]) -> Iterable[dict[str, object]]:
    """The lines of paths.json: links as conda-build writes them, with the hash of nothing."""
    contents: dict[str, bytes] = {}
    for entry in entries:
        if entry.kind == "folder":
            continue
        contents[entry.path] = data = contents.get(entry.target, b"") if entry.kind == "hard link" else entry.content
        kind = "softlink" if entry.kind == "link" else "hardlink"
        line: dict[str, object] = {"_path": entry.path, "path_type": kind, "size_in_bytes": len(data)}
        line["sha256"] = hashlib.sha256(data).hexdigest()
        if PREFIX.encode() in data:
            line |= {"prefix_placeholder": PREFIX, "file_mode": "binary" if b"\0" in data else "text"}
        yield line
