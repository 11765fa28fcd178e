"""The SIF file of an image."""

import dagger

from pipeline.build.sif import sif_file
from pipeline.checkout import Checkout


async def make(checkout: Checkout, image: str, platform: str | None) -> dagger.File:
    """Build an image, and make its SIF file: the same that is published.

    Raises:
        PipelineError: the image cannot be built, or its SIF file cannot be made.
    """
    source = checkout.image(image)
    built = await source.build(platform)
    return await sif_file(checkout.settings, built, checkout.commit.time if checkout.commit else None)
