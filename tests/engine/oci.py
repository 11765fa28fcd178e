"""What a container is made of, from the archive that the engine exports."""

import gzip
import io
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagger


@dataclass(frozen=True)
class Archive:
    """An OCI archive of one image."""

    path: Path

    @classmethod
    async def export(cls, container: dagger.Container, path: Path) -> "Archive":
        """Have the engine write one."""
        await container.as_tarball().export(str(path))
        return cls(path)

    def blob(self, digest: str) -> bytes:
        """One blob, by its digest."""
        with tarfile.open(self.path) as archive:
            file = archive.extractfile(f"blobs/{digest.replace(':', '/')}")
            assert file is not None
            return file.read()

    def manifest(self) -> dict[str, Any]:
        """The image's manifest."""
        with tarfile.open(self.path) as archive:
            file = archive.extractfile("index.json")
            assert file is not None
            index = json.load(file)
        manifest: dict[str, Any] = json.loads(self.blob(index["manifests"][0]["digest"]))
        return manifest

    def layers(self) -> list[str]:
        """The digests of its layers, compressed as they are pushed; lowest first."""
        return [layer["digest"] for layer in self.manifest()["layers"]]

    def members(self, layer: int) -> dict[str, tarfile.TarInfo]:
        """What a layer holds, by its path."""
        data = gzip.decompress(self.blob(self.layers()[layer]))
        with tarfile.open(fileobj=io.BytesIO(data)) as files:
            return {member.name: member for member in files.getmembers()}
