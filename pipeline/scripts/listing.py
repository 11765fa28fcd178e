"""Entries of a layer, and the differences between two layers.

A published layer is foreign: a few bytes may unpack to any number, and name any number of files. So it is read as a
stream, with a limit on the unpacked bytes, and with a limit on the memory of the process.
"""

import contextlib
import gzip
import hashlib
import resource
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import zip_longest
from typing import IO, Final

from backports import zstd

from pipeline.scripts.messages import Difference

#: First bytes of compressed files.
GZIP: Final = b"\x1f\x8b"
ZSTD: Final = b"\x28\xb5\x2f\xfd"
#: Limits for an image: unpacked bytes of all layers that are read, and memory of the process that reads them.
UNPACKED: Final = 50_000_000_000
MEMORY: Final = 1_000_000_000
#: Bytes of a file that are hashed at once.
BUFFER: Final = 1024 * 1024

KINDS: Final = {
    tarfile.REGTYPE: "file", tarfile.DIRTYPE: "folder", tarfile.SYMTYPE: "link", tarfile.LNKTYPE: "hard link",
    tarfile.CHRTYPE: "device", tarfile.BLKTYPE: "device", tarfile.FIFOTYPE: "pipe",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
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


class Allowance:
    """Number of bytes that may be read, until it is used up."""

    def __init__(self, number: int) -> None:
        self.number = self.left = number

    def take(self, number: int) -> None:
        """Use a part of it.

        Raises:
            ValueError: that is more than is left.
        """
        self.left -= number
        if self.left < 0:
            raise ValueError(f"what is compared of the image has more than {self.number / 1e9:g} GB unpacked")


class Unpacked:
    """Unpacked bytes of a layer as a stream."""

    def __init__(self, layer: IO[bytes], allowance: Allowance) -> None:
        start = layer.read(len(ZSTD))
        layer.seek(0)
        self._allowance = allowance
        self._stream: IO[bytes] | gzip.GzipFile | zstd.ZstdFile = layer
        if start == ZSTD:
            self._stream = zstd.ZstdFile(layer)
        elif start.startswith(GZIP):
            self._stream = gzip.GzipFile(fileobj=layer)

    def read(self, size: int) -> bytes:
        """Read the next bytes."""
        data = self._stream.read(size)
        self._allowance.take(len(data))
        return data


def read(layer: IO[bytes], allowance: Allowance) -> dict[str, Entry]:
    """Return the entries of a layer by their paths, in their order.

    Raises:
        ValueError: the bytes are not an archive, or not a whole one, or reading it takes more than is allowed.
    """
    try:
        with limited_memory():
            return _read(layer, allowance)
    except MemoryError:
        # It has no text, and what filled the memory is released only when it is handled.
        reason = f"reading it takes more than {MEMORY / 1e9:g} GB of memory"
    except (OSError, EOFError, ValueError, ArithmeticError, RecursionError) as error:
        reason = str(error)
    except (zlib.error, zstd.ZstdError, tarfile.TarError) as error:
        reason = str(error)
    raise ValueError(f"it cannot be read: {reason}")


def _read(layer: IO[bytes], allowance: Allowance) -> dict[str, Entry]:
    entries = {}
    unpacked = Unpacked(layer, allowance)
    with tarfile.open(fileobj=unpacked, mode="r|") as archive:  # type: ignore[call-overload]  # of a stream, it reads
        for member in archive:
            # Without this, the archive would keep all of them.
            archive.members.clear()
            file = archive.extractfile(member) if member.isreg() else None
            if member.issparse():
                # The holes are in no stream.
                allowance.take(member.size)
            entries[_text(member.name)] = Entry(
                kind=KINDS.get(member.type, "entry of another kind"),
                mode=f"{member.mode:04o}",
                owner=f"{member.uid}:{member.gid}",
                time=str(member.pax_headers.get("mtime", member.mtime)),
                size=str(member.size),
                link=_text(member.linkname),
                content=_hash(file) if file else "",
                attributes=" ".join(f"{name}={value}" for name, value in _attributes(member)),
            )
    return entries


@contextlib.contextmanager
def limited_memory() -> Iterator[None]:
    """Limit the memory of this process for some time: beyond it, Python raises MemoryError."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    below = [MEMORY, *(limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY)]
    resource.setrlimit(resource.RLIMIT_AS, (min(below), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _hash(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while data := file.read(BUFFER):
        digest.update(data)
    return digest.hexdigest()


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
