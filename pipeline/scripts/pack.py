"""Make the layers of an environment: an archive of the files of each, compressed, as a blob of an OCI layout.

Usage: python -m pipeline.scripts.pack ROOT PREFIX LAYERS COMPRESSION STORE LAYOUT PACKED. PREFIX is where the
environment is below ROOT, and below the root of its image; LAYERS is what the script ``divide`` wrote; COMPRESSION is
gzip or zstd. STORE has blobs that were made before, of which the ones that fit are taken: to compress takes ten times
as long as to read. Blobs are added to those of LAYOUT. PACKED is written: a JSON array with a `Packed` for each layer,
in their order.

The same files are the same bytes, on any machine and with any number of cores.
"""

import gzip
import hashlib
import json
import os
import secrets
import shutil
import stat
import sys
import tarfile
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, TypedDict, cast

from backports import zstd

MEDIA_TYPE: Final = "application/vnd.oci.image.layer.v1.tar"
#: How hard is tried; what these programs do where nobody says otherwise.
GZIP_LEVEL: Final = 6
ZSTD_LEVEL: Final = 3
#: What else the bytes of a blob depend on: the program that compresses, and how hard it tries.
WAYS: Final = {
    "gzip": f"gzip-{zlib.ZLIB_RUNTIME_VERSION}-{GZIP_LEVEL}",
    "zstd": f"zstd-{'.'.join(map(str, zstd.zstd_version_info))}-{ZSTD_LEVEL}",
}
#: Bytes that are compressed at once.
BUFFER: Final = 1024 * 1024
#: Seconds after which a blob that was not used is removed from the store: thirty days.
KEPT: Final = 30 * 24 * 3600


class Packed(TypedDict):
    """One layer, as manifest and configuration name it."""

    mediaType: str
    digest: str
    size: int
    """Bytes of the blob."""
    diff_id: str
    """The digest of its archive before compression."""


class Measured:
    """A file that is written, with the digest and the number of the bytes that were."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def digest(self) -> str:
        """The digest of all that was written."""
        return f"sha256:{self._hash.hexdigest()}"

    def write(self, data: bytes) -> int:
        """Write to the file."""
        self._hash.update(data)
        self.size += len(data)
        return self._file.write(data)

    def flush(self) -> None:
        """Keep nothing back."""
        self._file.flush()


def with_folders(paths: Iterable[str]) -> Iterator[str]:
    """Paths in one order, each after the folders that it is in."""
    told: set[str] = set()
    for path in sorted(paths, key=lambda path: path.split("/")):
        parts = path.split("/")
        for length in range(1, len(parts) + 1):
            name = "/".join(parts[:length])
            if name not in told:
                told.add(name)
                yield name


def describe(file: str, name: str) -> tarfile.TarInfo:
    """The entry of a file, link or folder, without what depends on the machine; all belongs to root."""
    found = os.lstat(file)
    info = tarfile.TarInfo(name)
    info.mtime = int(found.st_mtime)
    info.mode = stat.S_IMODE(found.st_mode)
    if stat.S_ISLNK(found.st_mode):
        info.type, info.linkname = tarfile.SYMTYPE, os.readlink(file)
    elif stat.S_ISDIR(found.st_mode):
        info.type = tarfile.DIRTYPE
    else:
        info.size = found.st_size
    return info


def write_archive(root: str, prefix: str, paths: Iterable[str], target: BinaryIO) -> None:
    """Write the archive of a layer: its paths below the prefix, with the folders above them."""
    with tarfile.open(mode="w|", fileobj=target, bufsize=BUFFER, format=tarfile.PAX_FORMAT) as archive:
        for name in with_folders(f"{prefix}/{path}" for path in paths):
            # What is above the environment may have anything in it, so it says of itself what the environment does.
            info = describe(f"{root}/{prefix}" if prefix.startswith(f"{name}/") else f"{root}/{name}", name)
            if info.isreg():
                with open(f"{root}/{name}", "rb") as file:
                    archive.addfile(info, file)
            else:
                archive.addfile(info)


class Store:
    """Blobs that were made before, by the digest of their archive; a damaged one is none."""

    def __init__(self, folder: Path, compression: str) -> None:
        self._folder = folder / WAYS[compression]

    def is_empty(self) -> bool:
        """Whether there is nothing to look for."""
        return not self._folder.is_dir() or not any(self._folder.iterdir())

    def take(self, diff_id: str, target: Path) -> Measured | None:
        """Copy the blob of an archive, or return None where there is none that is whole."""
        for path in self._folder.glob(f"{diff_id.removeprefix('sha256:')}-*"):
            with path.open("rb") as source, target.open("wb") as file:
                blob = Measured(file)
                shutil.copyfileobj(source, blob, BUFFER)
            if blob.digest == f"sha256:{path.name.rpartition('-')[2]}":
                path.touch()
                return blob
            path.unlink(missing_ok=True)
        return None

    def keep(self, diff_id: str, digest: str, blob: Path) -> None:
        """Copy a blob that was made; it is there when it is whole."""
        self._folder.mkdir(parents=True, exist_ok=True)
        name = "-".join(value.removeprefix("sha256:") for value in (diff_id, digest))
        part = self._folder / f".{secrets.token_hex(8)}"
        shutil.copyfile(blob, part)
        part.rename(self._folder / name)

    def clean(self) -> None:
        """Remove what was not used for long, whatever made it."""
        for path in self._folder.parent.glob("*/*"):
            # Others clean, too.
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > KEPT:
                    path.unlink()


@dataclass(frozen=True)
class Packer:
    """Makes the blobs of an environment's layers."""

    root: str
    prefix: str
    compression: str
    store: Store
    searches: bool
    """Look into the store: each archive is written twice where it is not there."""
    blobs: Path

    def pack(self, layer: tuple[str, Sequence[str]]) -> Packed:
        """Make the blob of one layer; it has its name, which is its digest, when it is whole."""
        name, paths = layer
        part = self.blobs / f"{name}.part"
        blob, diff_id = None, ""
        if self.searches:
            with open(os.devnull, "wb") as nothing:
                diff_id = self.archive(paths, nothing)
            blob = self.store.take(diff_id, part)
        if blob is None:
            with part.open("wb") as file:
                blob = Measured(file)
                with self.compressed(cast("BinaryIO", blob)) as target:
                    diff_id = self.archive(paths, target)
            self.store.keep(diff_id, blob.digest, part)
        part.rename(self.blobs / blob.digest.removeprefix("sha256:"))
        return Packed(mediaType=f"{MEDIA_TYPE}+{self.compression}", digest=blob.digest, size=blob.size, diff_id=diff_id)

    def archive(self, paths: Iterable[str], target: BinaryIO) -> str:
        """Write the archive of a layer, and return its digest."""
        archive = Measured(target)
        write_archive(self.root, self.prefix, paths, cast("BinaryIO", archive))
        return archive.digest

    def compressed(self, target: BinaryIO) -> BinaryIO:
        """A file that compresses what is written to it; its bytes say nothing of the time."""
        if self.compression == "zstd":
            return cast("BinaryIO", zstd.ZstdFile(target, "wb", level=ZSTD_LEVEL))
        return cast("BinaryIO", gzip.GzipFile("", "wb", GZIP_LEVEL, target, mtime=0))

    def weight(self, paths: Iterable[str]) -> int:
        """The bytes of a layer's files."""
        return sum(os.lstat(f"{self.root}/{self.prefix}/{path}").st_size for path in paths)


def main(root: str, prefix: str, layers: str, compression: str, store: str, layout: str, packed: str) -> int:  # noqa: PLR0913, PLR0917  # what the command is told
    """Run as a command; see the module's docstring."""
    kept = Store(Path(store), compression)
    blobs = Path(layout, "blobs/sha256")
    blobs.mkdir(parents=True, exist_ok=True)
    packer = Packer(root, prefix.strip("/"), compression, kept, not kept.is_empty(), blobs)
    members: dict[str, list[str]] = json.loads(Path(layers).read_text(encoding="utf-8"))
    # The largest first, so that no core waits for the last one alone.
    ordered = sorted(members, key=lambda name: -packer.weight(members[name]))
    found: dict[str, Packed] = {}
    with ProcessPoolExecutor() as pool:
        work = pool.map(packer.pack, ((name, members[name]) for name in ordered))
        for number, (name, layer) in enumerate(zip(ordered, work, strict=True), 1):
            found[name] = layer
            print(f"layer {number} of {len(ordered)}: {name}, {layer['size'] / 1e6:.1f} MB", file=sys.stderr)
    kept.clean()
    Path(packed).write_text(json.dumps([found[name] for name in members]), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
