"""Assemble an image's archives into one OCI layout, without the time of day and traces of the engine.

Usage: python -m pipeline.scripts.layout LAYOUT CREATED (ARCHIVE PACKED SETTINGS)… CREATED is the creation time of the
image, an ARCHIVE has its container for one platform. PACKED is the output of the script ``pack`` for layers that LAYOUT
has already, which come below the topmost one of the archive, or "-". SETTINGS is a JSON object with keys to set in its
configuration, which the archive lacks. Prints the digest of the image: of the manifest for
one archive, of an index in the order of the archives for more. Then prints a line for each archive: the digest of its
manifest, and the number of its layers.
"""

import hashlib
import json
import shutil
import sys
import tarfile
from collections.abc import Sequence
from itertools import batched
from pathlib import Path
from typing import Any, Final

MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
INDEX: Final = "application/vnd.oci.image.index.v1+json"
#: Bytes that are copied at once.
BUFFER: Final = 8 * 1024 * 1024

type Json = dict[str, Any]


class Layout:
    """OCI image layout: a folder with blobs and an index."""

    def __init__(self, folder: Path, created: str) -> None:
        self.folder = folder
        self.created = created
        self.blobs = folder / "blobs/sha256"
        self.blobs.mkdir(parents=True, exist_ok=True)
        self.layers: list[int] = []
        """Number of layers of each archive that was added."""

    def add(self, archive: Path, packed: Sequence[Json] = (), settings: Json | None = None) -> Json:
        """Add the container of an archive, and return the descriptor of its manifest.

        Args:
            archive: the archive, as the engine exports it.
            packed: layers that come below its topmost one.
            settings: keys to set in its configuration.
        """
        with tarfile.open(archive) as tar:
            descriptor = _one(_read(tar, "index.json")["manifests"], archive)
            manifest = _read(tar, _path(descriptor["digest"]))
            if "manifests" in manifest:
                manifest = _read(tar, _path(_one(manifest["manifests"], archive)["digest"]))
            config = _read(tar, _path(manifest["config"]["digest"]))
            for layer in manifest["layers"]:
                self._copy(tar, layer["digest"])
        insert(manifest, config, packed)
        self.layers.append(len(manifest["layers"]))
        if settings:
            config["config"] = {**config.get("config", {}), **settings}
        config = normalize(config, len(manifest["layers"]), self.created)
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

    def _copy(self, tar: tarfile.TarFile, digest: str) -> None:
        target = self.blobs / digest.removeprefix("sha256:")
        if target.exists():
            return
        source = tar.extractfile(_path(digest))
        if source is None:
            raise SystemExit(f"the archive has no layer {digest}")
        with source, target.open("wb") as file:
            shutil.copyfileobj(source, file, BUFFER)


def insert(manifest: Json, config: Json, packed: Sequence[Json]) -> None:
    """Insert layers below the topmost one of an image."""
    if packed:
        manifest["layers"][-1:-1] = [{key: layer[key] for key in ("mediaType", "digest", "size")} for layer in packed]
        config["rootfs"]["diff_ids"][-1:-1] = [layer["diff_id"] for layer in packed]


def normalize(config: Json, layers: int, created: str) -> Json:
    """Return a container's configuration with one time, and a history without the engine's cache.

    The engine writes the names and times of its snapshots into the history.
    """
    return {**config, "created": created, "history": [{"created": created} for _ in range(layers)]}


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


def main(folder: str, created: str, *archives: str) -> int:
    """Run as a command; see the module's docstring."""
    layout = Layout(Path(folder), created)
    manifests = [
        layout.add(Path(archive), [] if packed == "-" else json.loads(Path(packed).read_bytes()), json.loads(settings))
        for archive, packed, settings in batched(archives, 3)
    ]
    print(layout.write_index(manifests))
    for manifest, layers in zip(manifests, layout.layers, strict=True):
        print(manifest["digest"], layers)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
