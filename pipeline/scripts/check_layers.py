"""Find entries in an image's layers that an unpacker of container images for CVMFS does not take as they are.

Usage: python -m pipeline.scripts.check_layers ARCHIVE BASE ROOT PREFIX LAYERS. ARCHIVE has the image without its
environment, as the engine exports it. BASE is the output of the script ``base_layers`` for its base image, or "-". ROOT
and PREFIX are those of the script ``pack``, LAYERS is the output of the script ``divide``, or "-" without an
environment. Prints a `LayerReport` in JSON.

No layer is compressed for this: the entries are those that the scripts ``pack`` and ``repack`` write. docs/cvmfs.md
says which program trips on what.
"""

import json
import os
import stat
import sys
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, cast

from pipeline.scripts.layout import Archive
from pipeline.scripts.messages import LayerReport
from pipeline.scripts.pack import BUFFER, entries
from pipeline.scripts.repack import decompressed

#: Number of paths of one kind in a report; all are counted.
NAMED: Final = 20
#: Beginning of a name that hides a file of the layers below, and the name that hides all files of a folder.
WHITEOUT: Final = ".wh."
OPAQUE: Final = ".wh..wh..opq"
#: Beginning of names that CVMFS keeps for files of its own.
RESERVED: Final = ".cvmfs"
#: Beginning of a variable in the target of a link, which the CVMFS client replaces.
VARIABLE: Final = "$("
#: Number of user and group ids that a user namespace has as a rule.
IDS: Final = 65536
#: Mode of a folder that CVMFS makes for a layer that does not have it.
MADE: Final = 0o755


@dataclass(frozen=True)
class Layer:
    """One layer of an image."""

    entries: Iterable[tarfile.TarInfo]

    of_base: bool = False
    """Whether it is a layer of the base image."""


@dataclass
class Root:
    """Paths of the layers so far, as an unpacker has them: links, and folders with their modes."""

    links: set[str] = field(default_factory=set)
    folders: dict[str, int] = field(default_factory=dict)
    others: set[str] = field(default_factory=set)

    def remove(self, gone: set[str], emptied: set[str]) -> None:
        """Remove paths with all that is below them, and the content of folders."""
        if not (gone or emptied):
            return

        def stays(path: str) -> bool:
            above = list(parents(path))
            return path not in gone and gone.isdisjoint(above) and emptied.isdisjoint(above)

        self.links = set(filter(stays, self.links))
        self.others = set(filter(stays, self.others))
        self.folders = {path: mode for path, mode in self.folders.items() if stays(path)}

    def add(self, path: str, entry: tarfile.TarInfo) -> None:
        """Add an entry of a layer in the place of what is there."""
        self.links.discard(path)
        self.others.discard(path)
        self.folders.pop(path, None)
        if entry.isdir():
            self.folders[path] = stat.S_IMODE(entry.mode)
        else:
            (self.links if entry.issym() else self.others).add(path)


def parents(path: str) -> Iterator[str]:
    """Yield the folders above a path, the nearest first."""
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def clean(name: str) -> str:
    """Return the path of an entry below the root; empty for the root itself."""
    path = os.path.normpath(f"/{name}").lstrip("/")
    return "" if path == "." else path


def find(layers: Iterable[Layer]) -> LayerReport:
    """Check the layers of an image, the lowest first."""
    root, own, base = Root(), dict[str, set[str]](), dict[str, set[str]]()
    number = 0
    for layer in layers:
        number += 1
        for kind, path in _check(layer, root):
            (base if layer.of_base else own).setdefault(kind, set()).add(f"/{path}")
    paths = [*root.links, *root.others, *root.folders]
    folded = Counter(path.casefold() for path in (*root.links, *root.others))
    return LayerReport(
        layers=number,
        paths=len(paths),
        joined=sum(count for count in folded.values() if count > 1),
        found=_first(own),
        counts={kind: len(found) for kind, found in own.items()},
        found_in_base=_first(base),
    )


def _first(found: dict[str, set[str]]) -> dict[str, list[str]]:
    return {kind: sorted(paths)[:NAMED] for kind, paths in found.items()}


def _check(layer: Layer, root: Root) -> Iterator[tuple[str, str]]:
    """Yield the kind and path of each finding in a layer, and add its entries to the root."""
    members: dict[str, tarfile.TarInfo] = {}
    gone, emptied = set[str](), set[str]()
    for entry in layer.entries:
        path = clean(entry.name)
        folder, _, name = path.rpartition("/")
        if name == OPAQUE:
            emptied.add(folder)
        elif name.startswith(WHITEOUT):
            gone.add(f"{folder}/{name.removeprefix(WHITEOUT)}".lstrip("/"))
        elif path:
            if path in members and not entry.isdir():
                yield "twice", path
            members[path] = entry
    root.remove(gone, emptied)
    for path, entry in members.items():
        yield from ((kind, path) for kind in _kinds(entry, modes=not layer.of_base))
        if entry.islnk() and not _is_file(members.get(clean(entry.linkname))):
            yield "hardlink", path
        yield from _about_parents(path, members, root)
    for path, entry in members.items():
        root.add(path, entry)


def _about_parents(path: str, members: dict[str, tarfile.TarInfo], root: Root) -> Iterator[tuple[str, str]]:
    """Yield the findings about the folders above a path of a layer."""
    for folder in parents(path):
        if folder in members:
            if members[folder].issym():
                yield "through", path
        elif folder in root.links:
            yield "through", path
        elif root.folders.get(folder, MADE) != MADE:
            yield "parent", folder


def _is_file(entry: tarfile.TarInfo | None) -> bool:
    return entry is not None and not entry.isdir()


def _kinds(entry: tarfile.TarInfo, *, modes: bool) -> Iterator[str]:
    """Yield the kinds of findings about an entry by itself."""
    if modes and entry.isdir() and entry.mode & stat.S_IRWXU != stat.S_IRWXU:
        yield "folder"
    if modes and entry.isreg() and not entry.mode & stat.S_IRUSR:
        yield "file"
    if max(entry.uid, entry.gid) >= IDS:
        yield "id"
    if entry.ischr() or entry.isblk():
        yield "device"
    if entry.name.rpartition("/")[2].startswith(RESERVED):
        yield "reserved"
    if entry.issym() and VARIABLE in entry.linkname:
        yield "variable"


def read(archive: Archive, digest: str) -> Iterator[tarfile.TarInfo]:
    """Yield the entries of a layer in an image's archive."""
    with tarfile.open(archive.file) as tar:
        source = tar.extractfile(f"blobs/{digest.replace(':', '/')}")
        if source is None:
            raise SystemExit(f"{archive.file.name} has no layer {digest}")
        with (
            source,
            decompressed(cast("BinaryIO", source)) as plain,
            tarfile.open(fileobj=plain, mode="r|", bufsize=BUFFER) as layer,
        ):
            yield from layer


def layers_of(archive: Archive, root: str, prefix: str, members: dict[str, Sequence[str]]) -> Iterator[Layer]:
    """Yield the layers of an image in their order: those of an environment come below the topmost one."""
    last = len(archive.digests) - 1
    for number, digest in enumerate(archive.digests):
        if number == last:
            yield from (Layer(entries(root, prefix.strip("/"), paths)) for paths in members.values())
        yield Layer(read(archive, digest), of_base=number < len(archive.base))


def main(file: str, described: str, root: str, prefix: str, layers: str) -> int:
    """Run as a command; see the module's docstring."""
    base = [] if described == "-" else json.loads(Path(described).read_bytes())
    archive = Archive(Path(file), base)
    members = {} if layers == "-" else json.loads(Path(layers).read_bytes())
    report = asdict(find(layers_of(archive, root, prefix, members)))
    print(json.dumps(report | {"types_of_base": sorted({layer["mediaType"] for layer in archive.base})}))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
