"""Pack the layers of an environment: an archive of the files of each, compressed, as a blob of an OCI layout.

Usage: python -m pipeline.scripts.pack ROOT PREFIX LAYERS COMPRESSION FORMAT STORE LAYOUT PACKED. PREFIX is the path of
the environment below ROOT, and below the root of its image; LAYERS is the output of the script ``divide``; COMPRESSION
is gzip or zstd, and FORMAT a number of `layer_format`. STORE has blobs of previous runs, which are reused: compressing
takes longer than reading. Blobs are added to those of LAYOUT. PACKED is written: a JSON array with a `Packed` for each
layer, in their order.

The same files give the same bytes, on any machine and with any number of cores.
"""

import hashlib
import json
import os
import secrets
import shutil
import stat
import sys
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Self, TypedDict, cast

from pipeline.scripts.compress import COMPRESSORS, layers_at_once, open_compressed

MEDIA_TYPE: Final = "application/vnd.oci.image.layer.v1.tar"
#: Bytes to read and write at once.
BUFFER: Final = 1024 * 1024
#: Seconds after which an unused blob is removed from the store: thirty days.
KEPT: Final = 30 * 24 * 3600


class Packed(TypedDict):
    """One layer, as the manifest and the configuration name it."""

    mediaType: str
    digest: str
    size: int
    """Size of the blob."""
    diff_id: str
    """The digest of its archive before compression."""


class Measured:
    """Writable file that computes the digest and the number of the bytes written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def digest(self) -> str:
        """The digest of all bytes written."""
        return f"sha256:{self._hash.hexdigest()}"

    def write(self, data: bytes) -> int:
        """Write to the file."""
        self._hash.update(data)
        self.size += len(data)
        return self._file.write(data)

    def flush(self) -> None:
        """Flush the file."""
        self._file.flush()


def with_folders(paths: Iterable[str]) -> Iterator[str]:
    """Yield paths in a fixed order, each after its parent folders."""
    seen: set[str] = set()
    for path in sorted(paths, key=lambda path: path.split("/")):
        parts = path.split("/")
        for length in range(1, len(parts) + 1):
            name = "/".join(parts[:length])
            if name not in seen:
                seen.add(name)
                yield name


def describe(file: str, name: str) -> tarfile.TarInfo:
    """Return the entry of a file, link or folder, without attributes that depend on the machine; root owns all."""
    status = os.lstat(file)
    info = tarfile.TarInfo(name)
    info.mtime = int(status.st_mtime)
    info.mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISLNK(status.st_mode):
        info.type, info.linkname = tarfile.SYMTYPE, os.readlink(file)
    elif stat.S_ISDIR(status.st_mode):
        info.type = tarfile.DIRTYPE
    else:
        info.size = status.st_size
    return info


def entries(root: str, prefix: str, paths: Iterable[str]) -> Iterator[tarfile.TarInfo]:
    """Yield the entries of a layer: its paths below the prefix, each after its parent folders."""
    for name in with_folders(f"{prefix}/{path}" for path in paths):
        # A folder above the environment differs between machines, so it gets the environment's attributes.
        yield describe(f"{root}/{prefix if prefix.startswith(f'{name}/') else name}", name)


def write_archive(root: str, prefix: str, paths: Iterable[str], target: BinaryIO) -> None:
    """Write the archive of a layer: its entries, with the contents of its files."""
    with tarfile.open(mode="w|", fileobj=target, bufsize=BUFFER, format=tarfile.PAX_FORMAT) as archive:
        for info in entries(root, prefix, paths):
            with open(f"{root}/{info.name}" if info.isreg() else os.devnull, "rb") as file:
                archive.addfile(info, file)


class Store:
    """Blobs of previous runs, by the digest of their archive; a damaged one is removed."""

    def __init__(self, folder: Path, compressor: str) -> None:
        self._folder = folder / compressor

    def is_empty(self) -> bool:
        """Return whether the store has no blobs."""
        return not self._folder.is_dir() or not any(self._folder.iterdir())

    def take(self, diff_id: str, target: Path) -> Measured | None:
        """Copy the blob of an archive to a file; return None if there is no intact one."""
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
        """Add a blob; the rename makes it visible only when it is complete."""
        self._folder.mkdir(parents=True, exist_ok=True)
        name = "-".join(value.removeprefix("sha256:") for value in (diff_id, digest))
        part = self._folder / f".{secrets.token_hex(8)}"
        shutil.copyfile(blob, part)
        part.rename(self._folder / name)

    def clean(self) -> None:
        """Remove the blobs of all compressors that were not used for long."""
        for path in self._folder.parent.glob("*/*"):
            # Another run may remove the same blob.
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > KEPT:
                    path.unlink()


@dataclass(frozen=True)
class Compressor:
    """Compressor of archives, which makes blobs of them."""

    compression: str
    number: int
    """Number of the format."""
    store: Store
    searches: bool
    """Whether to search the store, which writes each archive twice if it is not there."""
    blobs: Path

    @classmethod
    def of(cls, compression: str, number: int, store: Path, blobs: Path) -> Self:
        """Return a compressor with a store, which it searches if there is something in it."""
        kept = Store(store, COMPRESSORS[compression, number])
        return cls(compression, number, kept, not kept.is_empty(), blobs)

    def pack(self, name: str, write: Callable[[BinaryIO], None]) -> Packed:
        """Make the blob of one layer; it is renamed to its digest when it is complete.

        Args:
            name: name of its file until then.
            write: writes its archive, the same at each call.
        """
        part = self.blobs / f"{name}.part"
        blob, diff_id = None, ""
        if self.searches:
            with open(os.devnull, "wb") as nothing:
                diff_id = _measured(write, nothing)
            blob = self.store.take(diff_id, part)
        if blob is None:
            with part.open("wb") as file:
                blob = Measured(file)
                with open_compressed(self.compression, self.number, cast("BinaryIO", blob)) as target:
                    diff_id = _measured(write, target)
            self.store.keep(diff_id, blob.digest, part)
        part.rename(self.blobs / blob.digest.removeprefix("sha256:"))
        return Packed(mediaType=f"{MEDIA_TYPE}+{self.compression}", digest=blob.digest, size=blob.size, diff_id=diff_id)


def _measured(write: Callable[[BinaryIO], None], target: BinaryIO) -> str:
    """Write an archive to a file, and return its digest."""
    archive = Measured(target)
    write(cast("BinaryIO", archive))
    return archive.digest


@dataclass(frozen=True)
class Packer:
    """Packer of an environment's layers."""

    root: str
    prefix: str
    compressor: Compressor

    def pack(self, layer: tuple[str, Sequence[str]]) -> Packed:
        """Make the blob of one layer."""
        name, paths = layer
        return self.compressor.pack(name, lambda target: write_archive(self.root, self.prefix, paths, target))

    def weight(self, paths: Iterable[str]) -> int:
        """Return the size of a layer's files."""
        return sum(os.lstat(f"{self.root}/{self.prefix}/{path}").st_size for path in paths)


def main(  # noqa: PLR0913, PLR0917  # arguments of the command
    root: str, prefix: str, layers: str, compression: str, number: str, store: str, layout: str, packed: str
) -> int:
    """Run as a command; see the module's docstring."""
    blobs = Path(layout, "blobs/sha256")
    blobs.mkdir(parents=True, exist_ok=True)
    packer = Packer(root, prefix.strip("/"), Compressor.of(compression, int(number), Path(store), blobs))
    members: dict[str, list[str]] = json.loads(Path(layers).read_text(encoding="utf-8"))
    # The largest first, so that no large layer is left for one core at the end.
    ordered = sorted(members, key=lambda name: -packer.weight(members[name]))
    results: dict[str, Packed] = {}
    with layers_at_once() as pool:
        work = pool.map(packer.pack, ((name, members[name]) for name in ordered))
        for position, (name, layer) in enumerate(zip(ordered, work, strict=True), 1):
            results[name] = layer
            print(f"layer {position} of {len(ordered)}: {name}, {layer['size'] / 1e6:.1f} MB", file=sys.stderr)
    packer.compressor.store.clean()
    Path(packed).write_text(json.dumps([results[name] for name in members]), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
