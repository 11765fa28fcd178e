"""The parts of an image, from the archive that the engine exports, or from the layout that is pushed."""

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

    def read(self, name: str) -> bytes:
        """One of its files."""
        with tarfile.open(self.path) as archive:
            file = archive.extractfile(name)
            assert file is not None
            return file.read()

    def blob(self, digest: str) -> bytes:
        """One blob, by its digest."""
        return self.read(f"blobs/{digest.replace(':', '/')}")

    def manifest(self) -> dict[str, Any]:
        """The image's manifest."""
        index = json.loads(self.read("index.json"))
        manifest: dict[str, Any] = json.loads(self.blob(index["manifests"][0]["digest"]))
        return manifest

    def layers(self) -> list[str]:
        """The digests of its layers, compressed as they are pushed; lowest first."""
        return [layer["digest"] for layer in self.manifest()["layers"]]

    def members(self, layer: int) -> dict[str, tarfile.TarInfo]:
        """The entries of a layer, by path."""
        data = gzip.decompress(self.blob(self.layers()[layer]))
        with tarfile.open(fileobj=io.BytesIO(data)) as files:
            return {member.name: member for member in files.getmembers()}

    def everything(self) -> dict[str, tarfile.TarInfo]:
        """The entries of all layers together, by path; none of them may remove anything."""
        found: dict[str, tarfile.TarInfo] = {}
        for number in range(len(self.layers())):
            found |= self.members(number)
        assert not [path for path in found if path.rpartition("/")[2].startswith(".wh.")]
        return found


class Layout(Archive):
    """An OCI layout of one image, as a folder."""

    @classmethod
    async def of(cls, layout: dagger.Directory, path: Path) -> "Layout":
        """Have the engine write one."""
        await layout.export(str(path))
        return cls(path)

    def read(self, name: str) -> bytes:
        """One of its files."""
        return (self.path / name).read_bytes()
