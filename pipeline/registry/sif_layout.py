"""SIFs of an image as an artifact of a registry, which ``apptainer pull oras://…`` takes."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import dagger
from dagger import dag

from pipeline.build.image import Image
from pipeline.build.sif import sif_file
from pipeline.build.tool_container import read_report, with_packages, with_scripts
from pipeline.concurrency import results_of
from pipeline.config.settings import Settings
from pipeline.registry.artifact import LAYOUT, LAYOUT_SCRIPTS, SIF_LAYOUT, Artifact
from pipeline.scripts.messages import SifAssembly

#: Folder of the SIFs in the container, one for each platform.
_FILES: Final = "/sifs"


async def make_sif(settings: Settings, images: Sequence[Image], made: datetime | None, artifact: Artifact) -> Artifact:
    """Make the SIF of an image for each platform, and put them into an OCI layout.

    Args:
        settings: the settings.
        images: the image for each platform.
        made: time of all its files; the start of 1970 if None.
        artifact: the image as it is pushed, whose annotations the SIF gets.

    Raises:
        PipelineError: a SIF cannot be made.
    """
    name = images[0].name

    async def make(image: Image) -> dagger.File:
        return await sif_file(settings, image, made)

    files = await results_of(make, images)
    container = (
        dag.container()
        .from_(settings.fetch_base)
        .with_(with_packages("layers.lock"))  # of the scripts that make images
        .with_(with_scripts(*LAYOUT_SCRIPTS, "sif_layout.py"))
        .with_mounted_directory(LAYOUT, artifact.layout)
    )
    command = ["python", "-m", "pipeline.scripts.sif_layout", SIF_LAYOUT, f"{name}.sif", LAYOUT]
    for number, (file, manifest) in enumerate(zip(files, artifact.manifests, strict=True)):
        container = container.with_mounted_file(f"{_FILES}/{number}.sif", file)
        command += [manifest, f"{_FILES}/{number}.sif"]
    written = container.with_exec(command)
    assembly = await read_report(written, SifAssembly, f"{name}: its SIF was not made ready to be pushed")
    layout = written.directory(SIF_LAYOUT)
    return Artifact(layout, assembly.digest, tuple(assembly.manifests), tuple(assembly.files))
