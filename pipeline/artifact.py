"""Artifacts: an image as an OCI layout, whose digest is the same whoever makes it and whenever.

Dagger's exporter writes the time of day, and names of the engine's snapshots, into an image's configuration, and puts
the platforms of an index into an order of chance. So an image that Dagger pushed would have another digest each time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import dagger
from dagger import dag

from pipeline.script import with_scripts
from pipeline.spec import Compression

LAYOUT: Final = "/layout"
FORCED: Final[Mapping[Compression, dagger.ImageLayerCompression]] = {
    "gzip": dagger.ImageLayerCompression.Gzip,
    "zstd": dagger.ImageLayerCompression.Zstd,
}
#: What images are made at whose commit nobody knows.
EPOCH: Final = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True)
class Artifact:
    """An image that can be pushed."""

    layout: dagger.Directory
    """Its blobs, manifest and index, as OCI lays them out in a folder."""

    digest: str
    """Of its manifest where it has one platform, of its index otherwise."""

    manifests: tuple[str, ...]
    """The digest of each platform's manifest, in the order of its platforms."""


async def make_artifact(
    base: str, containers: Sequence[dagger.Container], made: datetime | None, compression: Compression = "gzip"
) -> Artifact:
    """Export an image; layers are compressed once, and copied once from the engine's archive.

    Args:
        base: an image with Python.
        containers: the image's container for each platform, in the order that its index gets.
        made: the time that the image says it was made; the beginning of 1970 where there is none.
        compression: of the layers, those of its base image too.
    """
    # Said always: left to itself, the engine takes what it has of a layer, however that was compressed.
    forced = FORCED[compression]
    archives = {
        f"/archives/{number}.tar": container.as_tarball(forced_compression=forced)
        for number, container in enumerate(containers)
    }
    container = dag.container().from_(base).with_(with_scripts("layout.py"))
    for path, archive in archives.items():
        container = container.with_mounted_file(path, archive)
    created = (made or EPOCH).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    command = ["python", "-m", "pipeline.scripts.layout", LAYOUT, created, *archives]
    container = container.with_exec(command)
    digest, *manifests = (await container.stdout()).split()
    return Artifact(container.directory(LAYOUT), digest, tuple(manifests))
