"""Entries of a layer, and the differences between two layers."""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import zip_longest
from typing import Final

from backports import zstd

from pipeline.scripts.messages import Difference

#: First bytes of compressed files.
GZIP: Final = b"\x1f\x8b"
ZSTD: Final = b"\x28\xb5\x2f\xfd"

KINDS: Final = {
    tarfile.REGTYPE: "file", tarfile.DIRTYPE: "folder", tarfile.SYMTYPE: "link", tarfile.LNKTYPE: "hard link",
    tarfile.CHRTYPE: "device", tarfile.BLKTYPE: "device", tarfile.FIFOTYPE: "pipe",
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One entry of a layer; messages show the names of the fields."""

    kind: str
    mode: str
    owner: str
    time: str
    size: str
    link: str
    content: str
    attributes: str


def read(layer: bytes) -> dict[str, Entry]:
    """Return the entries of a layer by their paths, in their order.

    Raises:
        ValueError: the bytes are not an archive, or not a whole one.
    """
    try:
        return _read(layer)
    except (OSError, EOFError, zstd.ZstdError, tarfile.TarError) as error:
        raise ValueError(f"it cannot be read: {error}") from error


def _read(layer: bytes) -> dict[str, Entry]:
    data = zstd.decompress(layer) if layer[:4] == ZSTD else gzip.decompress(layer) if layer[:2] == GZIP else layer
    entries = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isreg() else None
            entries[_text(member.name)] = Entry(
                kind=KINDS.get(member.type, "entry of another kind"),
                mode=f"{member.mode:04o}",
                owner=f"{member.uid}:{member.gid}",
                time=str(member.pax_headers.get("mtime", member.mtime)),
                size=str(member.size),
                link=_text(member.linkname),
                content=hashlib.sha256(file.read()).hexdigest() if file else "",
                attributes=" ".join(f"{name}={value}" for name, value in _attributes(member)),
            )
    return entries


def compare_layers(location: str, published: Mapping[str, Entry], built: Mapping[str, Entry]) -> list[Difference]:
    """List the differences between two layers by path: entries that only one has, and attributes that differ."""
    differences: list[Difference] = []
    for path in sorted(published.keys() | built.keys()):
        old, new = published.get(path), built.get(path)
        if old is None or new is None:
            differences.append(
                Difference(
                    location=location,
                    path=path,
                    what="added" if old is None else "removed",
                    published=old.kind if old else "",
                    built=new.kind if new else "",
                )
            )
            continue
        for field in fields(Entry):
            before, after = getattr(old, field.name), getattr(new, field.name)
            if before != after:
                differences.append(
                    Difference(location=location, path=path, what=field.name, published=before, built=after)
                )
    if not differences:
        what = "compression" if list(published) == list(built) else "order"
        differences.append(Difference(location=location, path="", what=what, published="", built=""))
    return differences


def compare_documents(location: str, published: object, built: object) -> list[Difference]:
    """List the differences between two JSON documents by key."""
    old, new = dict(_values("", published)), dict(_values("", built))
    differences: list[Difference] = []
    for key in sorted(old.keys() | new.keys()):
        if (before := old.get(key)) != (after := new.get(key)):
            what = "added" if before is None else "removed" if after is None else "value"
            differences.append(
                Difference(location=location, path=key, what=what, published=before or "", built=after or "")
            )
    return differences


def pair(published: Sequence[str], built: Sequence[str]) -> list[tuple[str | None, str | None]]:
    """Pair the layers to compare, from their digests: those that only one image has, each with its nearest.

    Layers at the same position between two common ones are a pair; a layer without a counterpart is paired with None.
    """
    common = set(published) & set(built)
    old, new = _runs(published, common), _runs(built, common)
    return [
        two for before in dict.fromkeys([*old, *new]) for two in zip_longest(old.get(before, ()), new.get(before, ()))
    ]


def _runs(digests: Iterable[str], common: set[str]) -> dict[str, list[str]]:
    """Group the layers that are not common, by the common one that they follow."""
    runs: dict[str, list[str]] = {}
    last = ""
    for digest in digests:
        if digest in common:
            last = digest
        else:
            runs.setdefault(last, []).append(digest)
    return runs


def _text(name: str) -> str:
    """Return a name that can be printed: its bytes may not be text."""
    return name.encode(errors="backslashreplace").decode()


def _attributes(member: tarfile.TarInfo) -> list[tuple[str, str]]:
    return sorted((key, value) for key, value in member.pax_headers.items() if key.startswith("SCHILY.xattr."))


def _values(key: str, value: object) -> Iterable[tuple[str, str]]:
    """Yield the values in a document, each with its path."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _values(f"{key}.{name}" if key else str(name), inner)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _values(f"{key}[{number}]", inner)
    else:
        yield key, str(value)
