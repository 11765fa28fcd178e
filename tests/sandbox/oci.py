"""Container images written as OCI layouts: files into layers, layers into an image."""

import gzip
import hashlib
import json
import os
import shutil
import tarfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
INDEX: Final = "application/vnd.oci.image.index.v1+json"
CONFIG: Final = "application/vnd.oci.image.config.v1+json"
LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
PLATFORM: Final = {"architecture": "amd64", "os": "linux"}

_CHUNK: Final = 1 << 20


@dataclass(frozen=True)
class Settings:
    """What an image says about the processes that run in it."""

    environment: Mapping[str, str] = field(default_factory=dict)
    command: Sequence[str] = ()
    entrypoint: Sequence[str] = ()
    user: str = ""


def pack(target: Path, content: Mapping[str, Path | None], keep: Callable[[str], bool] | None = None) -> None:
    """Write a layer: the same bytes for the same names and content, whoever owns the files and however old they are.

    Args:
        target: the file to write; compressed where its name ends in ``.gz``.
        content: path in the image, without a leading slash, and the file, link or folder to put there; None puts an
            empty folder.
        keep: whether a path in the image stays; what is below a folder that does not goes with it; all stay by default.
    """

    def tidy(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        if keep is not None and not keep(entry.name):
            return None
        entry.uid = entry.gid = entry.mtime = 0
        entry.uname = entry.gname = ""
        entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
        return entry

    with (
        target.open("wb") as file,
        _compressing(file) if target.suffix == ".gz" else nullcontext(file) as output,
        tarfile.open(fileobj=output, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name, source in sorted(content.items()):
            if source is None:
                tar.addfile(folder_entry(name))
            else:
                tar.add(source, name, filter=tidy)


def folder_entry(name: str) -> tarfile.TarInfo:
    """An empty folder of a tar file, as root would make it in 1970."""
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
    return entry


def compress(source: Path, target: Path) -> None:
    """Compress a file, to the same bytes each time."""
    with source.open("rb") as plain, target.open("wb") as file, _compressing(file) as output:
        shutil.copyfileobj(plain, output, _CHUNK)


def write_layout(folder: Path, layers: Sequence[Path], settings: Settings) -> str:
    """Write an image of one platform into a folder, as an OCI layout, and return its manifest's digest.

    Args:
        folder: where to; may hold other images' blobs already.
        layers: tar files, the lowest first; compressed where their names end in ``.gz``. They are linked where that
            is possible, and copied otherwise.
        settings: what the image says about its processes.
    """
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    described, contents = [], []
    for layer in layers:
        compressed = layer.suffix == ".gz"
        digest = _digest(layer)
        _link(layer, blobs / digest)
        described.append(_descriptor(LAYER + ("+gzip" if compressed else ""), digest, layer.stat().st_size))
        contents.append(f"sha256:{_content_digest(layer) if compressed else digest}")
    process: dict[str, object] = {"Env": [f"{name}={value}" for name, value in settings.environment.items()]}
    if settings.command:
        process["Cmd"] = list(settings.command)
    if settings.entrypoint:
        process["Entrypoint"] = list(settings.entrypoint)
    if settings.user:
        process["User"] = settings.user
    config = {
        **PLATFORM,
        "created": "1970-01-01T00:00:00Z",
        "config": process,
        "rootfs": {"type": "layers", "diff_ids": contents},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _put(blobs, CONFIG, config),
        "layers": described,
    }
    entry = _put(blobs, MANIFEST, manifest)
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry | {"platform": PLATFORM}]}
    (folder / "index.json").write_text(json.dumps(index))
    (folder / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))
    return str(entry["digest"])


def _compressing(file: BinaryIO) -> gzip.GzipFile:
    return gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0, compresslevel=6)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _content_digest(path: Path) -> str:
    with gzip.open(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _link(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _descriptor(kind: str, digest: str, size: int) -> dict[str, object]:
    return {"mediaType": kind, "digest": f"sha256:{digest}", "size": size}


def _put(blobs: Path, kind: str, content: object) -> dict[str, object]:
    data = json.dumps(content).encode()
    digest = hashlib.sha256(data).hexdigest()
    (blobs / digest).write_bytes(data)
    return _descriptor(kind, digest, len(data))
