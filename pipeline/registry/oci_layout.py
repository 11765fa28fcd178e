"""OCI layouts: an image in the form that is pushed, with a digest that is the same on every machine and at any time.

The layers of an environment are made here, straight from the folder where it was installed. Dagger's exporter writes
the time of day and the names of the engine's snapshots into an image's configuration, the platforms of an index in
random order, and layers in a compression of its own. An image that Dagger pushed would have another digest each time.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import dagger
from dagger import dag

from pipeline.build.image import Environment, Image
from pipeline.build.tool_container import read_report, with_packages, with_scripts
from pipeline.concurrency import results_of
from pipeline.config.image_toml import Compression
from pipeline.config.settings import Settings
from pipeline.credentials.logins import Logins
from pipeline.errors import Code, PipelineError
from pipeline.output.console import log
from pipeline.registry.artifact import LAYOUT, LAYOUT_SCRIPTS, Artifact
from pipeline.registry.base_layers import LAYERS, SETTINGS, BaseLayers, find_base
from pipeline.scripts.layer_format import NEW
from pipeline.scripts.messages import Assembly

#: Number of layers that every runtime can stack. overlayfs takes 127, of which Docker uses two for a container.
MOST_LAYERS: Final = 125
#: Paths in the container that packs layers: the environment's root file system, the layer plan, the packed layers.
_ROOT: Final = "/environment"
_LAYERS: Final = "/layers.json"
_PACKED: Final = "/packed.json"
#: Mount point and name of the cache volume with blobs, so that each layer is compressed once.
_STORE: Final = "/var/cache/layers"
VOLUME: Final = "layers"
#: Creation time of an image without a known commit.
EPOCH: Final = datetime.fromtimestamp(0, UTC)


async def make_artifact(  # noqa: PLR0913  # what decides about its bytes
    settings: Settings,
    images: Sequence[Image],
    made: datetime | None,
    compression: Compression = "gzip",
    logins: Logins | None = None,
    *,
    layer_format: int | None = None,
) -> Artifact:
    """Pack the layers of environments, export the other layers, and assemble one image.

    Args:
        settings: the settings.
        images: the image for each platform, in the order of the index.
        made: creation time of the image; the start of 1970 if None.
        compression: of all layers but those of the base image, which are as its registry has them.
        logins: credentials for the registry of the base image.
        layer_format: number of the format of the layers; that of new images if None.

    Raises:
        PipelineError: the layers cannot be packed or assembled, are too many, or cannot be read from the base image's
            registry.
    """
    base = settings.fetch_base
    known = logins or Logins()
    compressed_as = [compression, str(layer_format or NEW[compression])]

    async def describe(image: Image) -> tuple[BaseLayers | None, dagger.File | None, Mapping[str, Any]]:
        if (found := await find_base(image, known)) is None:
            return None, None, {}
        described = await found.describe(settings)
        return found, described.file(LAYERS), json.loads(await described.file(SETTINGS).contents())

    bases = await results_of(describe, images)
    container = (
        dag.container()
        .from_(base)
        .with_(with_packages("layers.lock"))
        .with_(with_scripts(*LAYOUT_SCRIPTS))
        .with_mounted_cache(_STORE, dag.cache_volume(VOLUME))
    )
    created = (made or EPOCH).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    arguments = [LAYOUT, created, *compressed_as, _STORE]
    for number, (image, (_, described, inherited)) in enumerate(zip(images, bases, strict=True)):
        archive, layers_of_base, packed = f"/images/{number}.tar", "-", "-"
        container = container.with_mounted_file(archive, image.without_environment.as_tarball())
        if described:
            layers_of_base = f"/images/{number}.base.json"
            container = container.with_mounted_file(layers_of_base, described)
        if image.environment:
            packed = f"/images/{number}.json"
            layers = _pack(base, image.environment, compressed_as)
            container = container.with_directory(LAYOUT, layers.directory(LAYOUT))
            container = container.with_mounted_file(packed, layers.file(_PACKED))
        log(lost_triggers(image, inherited))
        arguments += [archive, layers_of_base, packed, json.dumps(with_inherited(image.settings, inherited))]
    name = images[0].name
    layout, assembly = await _assemble(name, container, arguments)
    if any(assembly.missing):
        for (found, *_), digests in zip(bases, assembly.missing, strict=True):
            if found and digests:
                container = container.with_directory(LAYOUT, await _fetch(found, settings, digests))
        layout, assembly = await _assemble(name, container, arguments)
    for image, count in zip(images, assembly.layers, strict=True):
        require_few_layers(image.name, count, installed=image.environment is not None)
    return Artifact(layout.directory(LAYOUT), assembly.digest, tuple(assembly.manifests))


def with_inherited(settings: Mapping[str, Any], inherited: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that are Docker's own with those of the base image, as a Dockerfile's FROM takes them over.

    ONBUILD is not taken over: its steps are for the build that stands on the base image.
    """
    return {**{key: value for key, value in inherited.items() if key != "OnBuild"}, **settings}


def lost_triggers(image: Image, inherited: Mapping[str, Any]) -> str:
    """Return a sentence about steps of a base image that no Dockerfile ran; empty where there are none."""
    if image.environment is None or "OnBuild" not in inherited:
        return ""
    return (
        f"{image.name}: base image {image.base} has ONBUILD steps ({'; '.join(inherited['OnBuild'])}), which run in "
        "the build of a Dockerfile and not for an image that pixi installs; choose another base if they matter\n"
    )


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


async def _fetch(base: BaseLayers, settings: Settings, digests: Sequence[str]) -> dagger.Directory:
    """Return a folder of an OCI layout with layers of a base image that the engine has compressed again."""
    log(
        f"{base.image}: this engine has compressed {len(digests)} layers of {base.reference} again; they are fetched "
        "from its registry as they are there\n"
    )
    try:
        return await base.fetched_by(settings, digests).sync()
    except dagger.QueryError as error:
        raise base.explain(error) from error


async def _assemble(name: str, container: dagger.Container, arguments: list[str]) -> tuple[dagger.Container, Assembly]:
    """Run the step that assembles an image, and return its container and its output."""
    made = container.with_exec(["python", "-m", "pipeline.scripts.layout", *arguments])
    return made, await read_report(made, Assembly, f"{name}: its layers were not made")


def _pack(base: str, environment: Environment, compressed_as: Sequence[str]) -> dagger.Container:
    """Return a container with the blobs of an environment's layers in a layout, and their descriptors.

    It is a step of its own, so that the engine runs it once for an environment, whatever else of the image changes.
    """
    arguments = [_ROOT, environment.prefix, _LAYERS, *compressed_as, _STORE, LAYOUT, _PACKED]
    return (
        dag.container()
        .from_(base)
        .with_(with_packages("layers.lock"))
        .with_(with_scripts("compress.py", "pack.py"))
        .with_mounted_directory(_ROOT, environment.root)
        .with_mounted_file(_LAYERS, environment.layers)
        .with_mounted_cache(_STORE, dag.cache_volume(VOLUME))
        .with_exec(["python", "-m", "pipeline.scripts.pack", *arguments])
    )
