"""What a layer holds, and how two layers differ."""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import zip_longest
from typing import Final, TypedDict

from backports import zstd

#: How compressed files begin.
GZIP: Final = b"\x1f\x8b"
ZSTD: Final = b"\x28\xb5\x2f\xfd"

KINDS: Final = {
    tarfile.REGTYPE: "file", tarfile.DIRTYPE: "folder", tarfile.SYMTYPE: "link", tarfile.LNKTYPE: "hard link",
    tarfile.CHRTYPE: "device", tarfile.BLKTYPE: "device", tarfile.FIFOTYPE: "pipe",
}  # fmt: skip


class Difference(TypedDict):
    """One thing that is not the same in what was published and what was built."""

    place: str
    """The configuration, the manifest, or which layer."""
    path: str
    """A file of the layer, or a key of the document."""
    what: str
    """What of it differs; "added" is what only the built image has, "removed" what only the published one has."""
    published: str
    built: str


@dataclass(frozen=True)
class Entry:
    """One entry of a layer; the names of the fields are what messages call them."""

    kind: str
    mode: str
    owner: str
    time: str
    size: str
    link: str
    content: str
    attributes: str


def read(layer: bytes) -> dict[str, Entry]:
    """The entries of a layer by their paths, in their order.

    Raises:
        ValueError: it is no archive, or not a whole one.
    """
    try:
        return _read(layer)
    except (OSError, EOFError, zstd.ZstdError, tarfile.TarError) as error:
        raise ValueError(f"it cannot be read: {error}") from error


def _read(layer: bytes) -> dict[str, Entry]:
    data = zstd.decompress(layer) if layer[:4] == ZSTD else gzip.decompress(layer) if layer[:2] == GZIP else layer
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isreg() else None
            found[_text(member.name)] = Entry(
                kind=KINDS.get(member.type, "entry of another kind"),
                mode=f"{member.mode:04o}",
                owner=f"{member.uid}:{member.gid}",
                time=str(member.pax_headers.get("mtime", member.mtime)),
                size=str(member.size),
                link=_text(member.linkname),
                content=hashlib.sha256(file.read()).hexdigest() if file else "",
                attributes=" ".join(f"{name}={value}" for name, value in _attributes(member)),
            )
    return found


def compare_layers(place: str, published: Mapping[str, Entry], built: Mapping[str, Entry]) -> list[Difference]:
    """How two layers differ, by path: what only one has, and what of an entry is not the same."""
    found: list[Difference] = []
    for path in sorted(published.keys() | built.keys()):
        old, new = published.get(path), built.get(path)
        if old is None or new is None:
            found.append(
                Difference(
                    place=place,
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
                found.append(Difference(place=place, path=path, what=field.name, published=before, built=after))
    if not found:
        what = "compression" if list(published) == list(built) else "order"
        found.append(Difference(place=place, path="", what=what, published="", built=""))
    return found


def compare_documents(place: str, published: object, built: object) -> list[Difference]:
    """How two JSON documents differ, by key."""
    old, new = dict(_values("", published)), dict(_values("", built))
    found: list[Difference] = []
    for key in sorted(old.keys() | new.keys()):
        if (before := old.get(key)) != (after := new.get(key)):
            what = "added" if before is None else "removed" if after is None else "value"
            found.append(Difference(place=place, path=key, what=what, published=before or "", built=after or ""))
    return found


def pair(published: Sequence[str], built: Sequence[str]) -> list[tuple[str | None, str | None]]:
    """Which layers to compare, from their digests: those that only one image has, each with its nearest.

    Layers in the same place between two that both have are a pair; where one side has more there, it has them alone.
    """
    common = set(published) & set(built)
    old, new = _runs(published, common), _runs(built, common)
    return [
        two for before in dict.fromkeys([*old, *new]) for two in zip_longest(old.get(before, ()), new.get(before, ()))
    ]


def _runs(digests: Iterable[str], common: set[str]) -> dict[str, list[str]]:
    """The layers that are not common, by the common one that they follow."""
    runs: dict[str, list[str]] = {}
    last = ""
    for digest in digests:
        if digest in common:
            last = digest
        else:
            runs.setdefault(last, []).append(digest)
    return runs


def _text(name: str) -> str:
    """A name that is told: its bytes may be no text."""
    return name.encode(errors="backslashreplace").decode()


def _attributes(member: tarfile.TarInfo) -> list[tuple[str, str]]:
    return sorted((key, value) for key, value in member.pax_headers.items() if key.startswith("SCHILY.xattr."))


def _values(key: str, value: object) -> Iterable[tuple[str, str]]:
    """The values in a document, by the way to each."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _values(f"{key}.{name}" if key else str(name), inner)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _values(f"{key}[{number}]", inner)
    else:
        yield key, str(value)
