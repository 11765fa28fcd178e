"""Assemble an image's archives into one OCI layout, without the time of day and traces of the engine.

Usage: python -m pipeline.scripts.layout LAYOUT CREATED COMPRESSION FORMAT STORE (ARCHIVE BASE PACKED SETTINGS)… CREATED
is the creation time of the image; COMPRESSION, FORMAT and STORE are those of the script ``pack``. An ARCHIVE has its
container for one platform. BASE is the output of the script ``base_layers`` for its base image, or "-". PACKED is the
output of the script ``pack`` for layers that LAYOUT has already, which come below the topmost one of the archive, or
"-". SETTINGS is a JSON object with keys to set in its configuration, which the archive lacks.

Layers of the base image are those of its registry; the others are archived and compressed again, so that no engine
decides about their bytes. Prints an `Assembly` in JSON. Where the engine has compressed a layer of the base image
itself, and LAYOUT does not have the registry's, nothing is made: the output names what is missing.
"""

import hashlib
import json
import shutil
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import asdict
from itertools import batched
from pathlib import Path
from typing import Any, Final

from pipeline.scripts import layer_format
from pipeline.scripts.compress import layers_at_once
from pipeline.scripts.messages import Assembly
from pipeline.scripts.pack import Compressor, Packed
from pipeline.scripts.repack import Repacker

MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
INDEX: Final = "application/vnd.oci.image.index.v1+json"
#: Bytes that are copied at once.
BUFFER: Final = 8 * 1024 * 1024

type Json = dict[str, Any]


class Archive:
    """Archive of a container for one platform, as the engine exports it."""

    def __init__(self, file: Path, base: Sequence[Packed]) -> None:
        self.file = file
        with tarfile.open(file) as tar:
            descriptor = _one(_read(tar, "index.json")["manifests"], file)
            self.manifest = _read(tar, _path(descriptor["digest"]))
            if "manifests" in self.manifest:
                self.manifest = _read(tar, _path(_one(self.manifest["manifests"], file)["digest"]))
            self.config = _read(tar, _path(self.manifest["config"]["digest"]))
        self.digests = [str(layer["digest"]) for layer in self.manifest["layers"]]
        begins = self.config["rootfs"]["diff_ids"][: len(base)] == [layer["diff_id"] for layer in base]
        self.base = base if begins else ()
        """The layers of the base image, if the image begins with them."""

    def copy(self, digest: str, target: Path) -> None:
        """Write a blob to a file."""
        with tarfile.open(self.file) as tar:
            source = tar.extractfile(_path(digest))
            if source is None:
                raise SystemExit(f"{self.file.name} has no layer {digest}")
            with source, target.open("wb") as file:
                shutil.copyfileobj(source, file, BUFFER)


class Layout:
    """OCI image layout: a folder with blobs and an index."""

    def __init__(self, folder: Path, created: str) -> None:
        self.folder = folder
        self.created = created
        self.blobs = folder / "blobs/sha256"
        self.blobs.mkdir(parents=True, exist_ok=True)
        self.layers: list[int] = []
        """Number of layers of each archive that was added."""

    def missing(self, archive: Archive) -> list[str]:
        """Return the base image's layers that neither the archive nor the layout has."""
        wanted = (layer["digest"] for layer in archive.base)
        return [digest for digest in wanted if digest not in archive.digests and not self.blob(digest).exists()]

    def blob(self, digest: str) -> Path:
        """Return the path of a blob."""
        return self.blobs / digest.removeprefix("sha256:")

    def add(
        self,
        archive: Archive,
        compressor: Compressor,
        packed: Sequence[Packed] = (),
        settings: Json | None = None,
    ) -> Json:
        """Add a container, of whose base image nothing is missing, and return the descriptor of its manifest.

        Args:
            archive: the archive of the container.
            compressor: makes the layers above the base image.
            packed: layers that come below its topmost one.
            settings: keys to set in its configuration.
        """
        for layer in archive.base:
            blob = self.blob(layer["digest"])
            if not blob.exists():
                archive.copy(layer["digest"], blob)
        # The engine writes the same layer twice where two steps change nothing.
        own = list(dict.fromkeys(archive.digests[len(archive.base) :]))
        with layers_at_once() as pool:
            repacked = dict(zip(own, pool.map(Repacker(archive.file, compressor).repack, own), strict=True))
        layers = [*archive.base, *(repacked[digest] for digest in archive.digests[len(archive.base) :])]
        layers[-1:-1] = packed
        self.layers.append(len(layers))
        manifest = {
            **archive.manifest,
            "layers": [{key: layer[key] for key in ("mediaType", "digest", "size")} for layer in layers],
        }
        config = normalize(archive.config, [layer["diff_id"] for layer in layers], self.created)
        for entry in config["history"][len(archive.base) :]:
            entry.update(layer_format.describe(compressor.number))
        if settings:
            config["config"] = {**config.get("config", {}), **settings}
        manifest["config"] = {**manifest["config"], **self.write(config)}
        platform = {key: config[key] for key in ("architecture", "os", "variant", "os.version") if config.get(key)}
        return {"mediaType": manifest.get("mediaType", MANIFEST), **self.write(manifest), "platform": platform}

    def write(self, content: Json) -> Json:
        """Write a document as a blob, and return the digest and size for its descriptor."""
        data = encode(content)
        digest = hashlib.sha256(data).hexdigest()
        (self.blobs / digest).write_bytes(data)
        return {"digest": f"sha256:{digest}", "size": len(data)}

    def write_index(self, descriptors: Sequence[Json]) -> str:
        """Write the files that make the folder a layout, and return the image's digest."""
        image = {key: value for key, value in descriptors[0].items() if key != "platform"}
        if len(descriptors) > 1:
            index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(descriptors)}
            image = {"mediaType": INDEX, **self.write(index)}
        (self.folder / "oci-layout").write_bytes(encode({"imageLayoutVersion": "1.0.0"}))
        (self.folder / "index.json").write_bytes(encode({"schemaVersion": 2, "mediaType": INDEX, "manifests": [image]}))
        return str(image["digest"])


def normalize(config: Json, diff_ids: Sequence[str], created: str) -> Json:
    """Return a container's configuration with other layers, one time, and a history without the engine's cache.

    The engine writes the names and times of its snapshots into the history.
    """
    rootfs = {**config["rootfs"], "diff_ids": list(diff_ids)}
    return {**config, "created": created, "rootfs": rootfs, "history": [{"created": created} for _ in diff_ids]}


def encode(content: Json) -> bytes:
    """Return a document as bytes, the same for the same content."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def _one(descriptors: Sequence[Json], archive: Path) -> Json:
    if len(descriptors) != 1:
        raise SystemExit(f"{archive.name} has {len(descriptors)} images instead of one")
    return descriptors[0]


def _path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _read(tar: tarfile.TarFile, name: str) -> Json:
    file = tar.extractfile(name)
    if file is None:
        raise SystemExit(f"the archive has no file {name}")
    with file:
        content: Json = json.load(file)
    return content


def main(folder: str, created: str, compression: str, number: str, store: str, *images: str) -> int:
    """Run as a command; see the module's docstring."""
    layout = Layout(Path(folder), created)
    archives, packed, settings = [], [], []
    for archive, base, layers, added in batched(images, 4):
        described = [] if base == "-" else json.loads(Path(base).read_bytes())
        archives.append(Archive(Path(archive), described))
        packed.append([] if layers == "-" else json.loads(Path(layers).read_bytes()))
        settings.append(json.loads(added))
    missing = [layout.missing(archive) for archive in archives]
    if any(missing):
        print(json.dumps(asdict(Assembly(missing=missing))))
        return 0
    compressor = Compressor.of(compression, int(number), Path(store), layout.blobs)
    manifests = [
        layout.add(archive, compressor, layers, added)
        for archive, layers, added in zip(archives, packed, settings, strict=True)
    ]
    compressor.store.clean()
    digest = layout.write_index(manifests)
    based = [len(archive.base) for archive in archives]
    made = Assembly(digest, [str(manifest["digest"]) for manifest in manifests], layout.layers, based)
    print(json.dumps(asdict(made)))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
