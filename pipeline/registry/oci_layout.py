"""OCI layouts: an image in the form that is pushed, with a digest that is the same on every machine and at any time.

The layers of an environment are made here, straight from the folder where it was installed. Dagger's exporter writes
the time of day and the names of the engine's snapshots into an image's configuration, and the platforms of an index in
random order. An image that Dagger pushed would have another digest each time.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import dagger
from dagger import dag

from pipeline.build.image import Environment, Image
from pipeline.build.tool_container import with_packages, with_scripts
from pipeline.config.image_toml import Compression
from pipeline.engine_errors import reason_of
from pipeline.errors import Code, PipelineError

LAYOUT: Final = "/layout"
#: Number of layers that every runtime can stack. overlayfs takes 127, of which Docker uses two for a container.
MOST_LAYERS: Final = 125
FORCED: Final[Mapping[Compression, dagger.ImageLayerCompression]] = {
    "gzip": dagger.ImageLayerCompression.Gzip,
    "zstd": dagger.ImageLayerCompression.Zstd,
}
#: Paths in the container that packs layers: the environment's root file system, the layer plan, the packed layers.
_ROOT: Final = "/environment"
_LAYERS: Final = "/layers.json"
_PACKED: Final = "/packed.json"
#: Mount point and name of the cache volume with blobs, so that each layer is compressed once.
_STORE: Final = "/var/cache/layers"
VOLUME: Final = "layers"
#: Creation time of an image without a known commit.
EPOCH: Final = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True)
class Artifact:
    """An image that can be pushed."""

    layout: dagger.Directory
    """Folder with its blobs, manifest and index, as an OCI image layout."""

    digest: str
    """The digest of the manifest for one platform, of the index for several."""

    manifests: tuple[str, ...]
    """The digest of each platform's manifest, in the order of its platforms."""


async def make_artifact(
    base: str, images: Sequence[Image], made: datetime | None, compression: Compression = "gzip"
) -> Artifact:
    """Pack the layers of environments, export the other layers, and assemble one image.

    Args:
        base: image with Python.
        images: the image for each platform, in the order of the index.
        made: creation time of the image; the start of 1970 if None.
        compression: of all layers, those of the base image included.

    Raises:
        PipelineError: the layers cannot be packed or assembled, or are too many.
    """
    container = dag.container().from_(base).with_(with_scripts("layout.py"))
    arguments: list[str] = []
    for number, image in enumerate(images):
        archive, packed = f"/images/{number}.tar", "-"
        # Always forced: otherwise the engine reuses a cached layer, whatever its compression.
        exported = image.without_environment.as_tarball(forced_compression=FORCED[compression])
        container = container.with_mounted_file(archive, exported)
        if image.environment:
            packed = f"/images/{number}.json"
            layers = _pack(base, image.environment, compression)
            container = container.with_directory(LAYOUT, layers.directory(LAYOUT))
            container = container.with_mounted_file(packed, layers.file(_PACKED))
        arguments += [archive, packed, json.dumps(dict(image.settings))]
    created = (made or EPOCH).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    container = container.with_exec(["python", "-m", "pipeline.scripts.layout", LAYOUT, created, *arguments])
    try:
        digest, *lines = (await container.stdout()).splitlines()
    except dagger.QueryError as error:
        raise PipelineError(
            Code.STEP_FAILED,
            f"{images[0].name}: its layers were not made: {reason_of(error)}; see that the engine has room on its "
            "disk, and run the same command again",
        ) from error
    manifests = [line.split() for line in lines]
    for image, (_, number_of_layers) in zip(images, manifests, strict=True):
        require_few_layers(image.name, int(number_of_layers), installed=image.environment is not None)
    return Artifact(container.directory(LAYOUT), digest, tuple(manifest for manifest, _ in manifests))


def require_few_layers(name: str, layers: int, *, installed: bool) -> None:
    """Reject an image that a runtime could pull and not start.

    Args:
        name: name of the image.
        layers: number of its layers.
        installed: whether pixi installed it, or a Dockerfile made it.

    Raises:
        PipelineError: it has too many layers.
    """
    if layers <= MOST_LAYERS:
        return
    remedy = "choose a 'runtime_base' with fewer layers" if installed else "join RUN and COPY steps of its Dockerfile"
    raise PipelineError(
        Code.LAYERS_TOO_MANY,
        f"{name}: its image has {layers} layers, and Docker can stack no more than {MOST_LAYERS}; {remedy}",
    )


def _pack(base: str, environment: Environment, compression: Compression) -> dagger.Container:
    """Return a container with the blobs of an environment's layers in a layout, and their descriptors.

    It is a step of its own, so that the engine runs it once for an environment, whatever else of the image changes.
    """
    arguments = [_ROOT, environment.prefix, _LAYERS, compression, _STORE, LAYOUT, _PACKED]
    return (
        dag.container()
        .from_(base)
        .with_(with_packages("zstd.lock"))
        .with_(with_scripts("pack.py"))
        .with_mounted_directory(_ROOT, environment.root)
        .with_mounted_file(_LAYERS, environment.layers)
        .with_mounted_cache(_STORE, dag.cache_volume(VOLUME))
        .with_exec(["python", "-m", "pipeline.scripts.pack", *arguments])
    )
