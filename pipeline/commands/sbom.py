"""The SBOM of an image as a file."""

import dagger

from pipeline.attestations.sbom import describe, write
from pipeline.checkout import ImageSource
from pipeline.output.formats import SbomFormat


async def make(source: ImageSource, platform: str | None, form: SbomFormat) -> dagger.File:
    """Build an image, and write its SBOM.

    Raises:
        PipelineError: the image cannot be built or does not hold what was locked, or the document does not fit its
            format.
    """
    target = source.platform(platform)
    built = await source.build(target)
    return await write(await describe(source, target, built.container), form, source.settings.fetch_base)
