"""Make the blob of a layer again that an engine exported, so that nothing but its files says what its bytes are.

Engines differ in compressors, and may differ in the form of their archives. The order of the entries is kept, since a
hard link comes after its file.
"""

import gzip
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, cast

from backports import zstd

from pipeline.scripts.pack import BUFFER, Compressor, Packed

#: First bytes of compressed files.
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
#: Records of an entry that are written where its fields need them, and times that no file of an image has.
_WRITTEN: Final = frozenset({"path", "linkpath", "size", "uid", "gid", "uname", "gname", "mtime", "atime", "ctime"})


@dataclass(frozen=True)
class Repacker:
    """Repacker of the layers in an image's archive."""

    archive: Path
    compressor: Compressor

    def repack(self, digest: str) -> Packed:
        """Make the blob of one layer.

        Args:
            digest: the layer's digest in the archive.
        """
        return self.compressor.pack(digest.removeprefix("sha256:"), lambda target: self._rewrite(digest, target))

    def _rewrite(self, digest: str, target: BinaryIO) -> None:
        with tarfile.open(self.archive) as archive:
            source = archive.extractfile(f"blobs/{digest.replace(':', '/')}")
            if source is None:
                raise SystemExit(f"{self.archive.name} has no layer {digest}")
            with source, decompressed(cast("BinaryIO", source)) as plain:
                rewrite(plain, target)


def decompressed(file: BinaryIO) -> BinaryIO:
    """Return a file that reads a blob's archive, however it is compressed."""
    begin = file.read(4)
    file.seek(0)
    if begin.startswith(_GZIP):
        return cast("BinaryIO", gzip.GzipFile(fileobj=file))
    return cast("BinaryIO", zstd.ZstdFile(file)) if begin == _ZSTD else file


def rewrite(source: BinaryIO, target: BinaryIO) -> None:
    """Write an archive again, with the same entries in one form."""
    with (
        tarfile.open(fileobj=source, mode="r|", bufsize=BUFFER) as old,
        tarfile.open(fileobj=target, mode="w|", bufsize=BUFFER, format=tarfile.PAX_FORMAT) as new,
    ):
        for member in old:
            new.addfile(describe(member), old.extractfile(member) if member.isreg() else None)


def describe(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Return the entry for a member of an archive: numbers say whose it is, and no record repeats a field."""
    info = tarfile.TarInfo(member.name)
    for field in ("mode", "uid", "gid", "type", "linkname", "devmajor", "devminor"):
        setattr(info, field, getattr(member, field))
    info.size = member.size if member.isreg() else 0
    info.mtime = int(member.mtime)
    info.pax_headers = {key: value for key, value in member.pax_headers.items() if key not in _WRITTEN}
    if member.mtime != info.mtime:
        info.pax_headers["mtime"] = member.pax_headers["mtime"]
    return info
