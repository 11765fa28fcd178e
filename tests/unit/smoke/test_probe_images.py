from pathlib import Path
from typing import NoReturn

import pytest
from dagger import dag

from pipeline.checkout import ImageSource
from pipeline.config.image_toml import ImageSpec
from pipeline.config.settings import Settings
from pipeline.errors import Code, PipelineError
from pipeline.smoke.probe_images import probe_images


class NothingBuilds(ImageSource):
    """An image that cannot be built."""

    def __init__(self, name: str, spec: ImageSpec) -> None:
        """Without files: nothing is read."""
        super().__init__(name, spec, Path(name), dag.directory(), Settings())

    async def build(self, platform: str | None = None) -> NoReturn:
        """Refuse a platform."""
        raise PipelineError(Code.INSTALL_FAILED, f"{self.name} has no package for {platform}")


@pytest.mark.asyncio
async def test_each_platform_of_an_image_is_tested() -> None:
    """An image is built for each of its platforms; where there are several, results say which one they are of."""
    both = ImageSpec(description="x", platforms=("linux/amd64", "linux/arm64"))
    images = [NothingBuilds("large", both), NothingBuilds("small", ImageSpec(description="x"))]
    results = await probe_images(images, gpu=False)
    assert [(image.subject, image.reason) for image in results.not_built] == [
        ("large (linux/amd64)", "large has no package for linux/amd64 [install-failed]"),
        ("large (linux/arm64)", "large has no package for linux/arm64 [install-failed]"),
        ("small", "small has no package for linux/amd64 [install-failed]"),
    ]
