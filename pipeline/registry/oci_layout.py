"""Artifacts: an image as an OCI layout, whose digest is the same whoever makes it and whenever.

An environment is divided into its layers here, straight from where it was installed. Dagger's exporter writes the time
of day, and names of the engine's snapshots, into an image's configuration, and puts the platforms of an index into an
order of chance. So an image that Dagger pushed would have another digest each time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import dagger
from dagger import dag

from pipeline.build.image import Environment, Image
from pipeline.build.tool_container import last_line, with_packages, with_scripts
from pipeline.config.image_toml import Compression
from pipeline.errors import Code, PipelineError

LAYOUT: Final = "/layout"
FORCED: Final[Mapping[Compression, dagger.ImageLayerCompression]] = {
    "gzip": dagger.ImageLayerCompression.Gzip,
    "zstd": dagger.ImageLayerCompression.Zstd,
}
#: Where the layers of an environment are made: its root file system, which files are a layer, what became of them.
_ROOT: Final = "/environment"
_LAYERS: Final = "/layers.json"
_PACKED: Final = "/packed.json"
#: Where blobs are kept, so that a layer is compressed once; and the volume that has them.
_STORE: Final = "/var/cache/layers"
VOLUME: Final = "layers"
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
    base: str, images: Sequence[Image], made: datetime | None, compression: Compression = "gzip"
) -> Artifact:
    """Make the layers of environments, export the others, and make one image of both.

    Args:
        base: an image with Python.
        images: the image for each platform, in the order that its index gets.
        made: the time that the image says it was made; the beginning of 1970 where there is none.
        compression: of the layers, those of its base image too.

    Raises:
        PipelineError: a step failed that makes layers, or puts them together.
    """
    container = dag.container().from_(base).with_(with_scripts("layout.py"))
    arguments: list[str] = []
    for number, image in enumerate(images):
        archive, packed = f"/images/{number}.tar", "-"
        # Said always: left to itself, the engine takes what it has of a layer, however that was compressed.
        exported = image.without_environment.as_tarball(forced_compression=FORCED[compression])
        container = container.with_mounted_file(archive, exported)
        if image.environment:
            packed = f"/images/{number}.json"
            layers = _pack(base, image.environment, compression)
            container = container.with_directory(LAYOUT, layers.directory(LAYOUT))
            container = container.with_mounted_file(packed, layers.file(_PACKED))
        arguments += [archive, packed]
    created = (made or EPOCH).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    container = container.with_exec(["python", "-m", "pipeline.scripts.layout", LAYOUT, created, *arguments])
    try:
        digest, *manifests = (await container.stdout()).split()
    except dagger.QueryError as error:
        raise PipelineError(
            Code.STEP_FAILED,
            f"{images[0].name}: its layers were not made: {last_line(error)}; see that the engine has room on its "
            "disk, and run the same command again",
        ) from error
    return Artifact(container.directory(LAYOUT), digest, tuple(manifests))


def _pack(base: str, environment: Environment, compression: Compression) -> dagger.Container:
    """A container with the blobs of an environment's layers in a layout, and what is to be said of them.

    A step of its own: it is done once for an environment, whatever else of its image changes.
    """
    what = [_ROOT, environment.prefix, _LAYERS, compression]
    return (
        dag.container()
        .from_(base)
        .with_(with_packages("zstd.lock"))
        .with_(with_scripts("pack.py"))
        .with_mounted_directory(_ROOT, environment.root)
        .with_mounted_file(_LAYERS, environment.layers)
        .with_mounted_cache(_STORE, dag.cache_volume(VOLUME))
        .with_exec(["python", "-m", "pipeline.scripts.pack", *what, _STORE, LAYOUT, _PACKED])
    )
