"""Build images and run all their probes at once."""

from collections.abc import Iterable

from pipeline.build.pixi_image import environment_path
from pipeline.checkout import ImageSource
from pipeline.concurrency import results_of
from pipeline.config.image_toml import Platform
from pipeline.errors import PipelineError
from pipeline.smoke.evaluate import Subject
from pipeline.smoke.results import NotBuilt, Result, Results
from pipeline.smoke.runner import Prober


async def probe_images(images: Iterable[ImageSource], *, gpu: bool) -> Results:
    """Build images for each of their platforms, and run all their probes at once.

    Args:
        images: the images.
        gpu: give all GPUs of the engine to the probes that look for them, and expect these to find one.
    """

    async def test(source: tuple[ImageSource, Platform]) -> list[Result] | NotBuilt:
        image, platform = source
        subject = Subject(image.name, platform if len(image.spec.platforms) > 1 else "")
        try:
            return await _probe(image, subject, platform, gpu=gpu)
        except PipelineError as error:
            return NotBuilt(image=image.name, platform=subject.platform, reason=str(error))

    outcomes = await results_of(test, [(image, platform) for image in images for platform in image.spec.platforms])
    return Results(
        results=tuple(result for group in outcomes if isinstance(group, list) for result in group),
        not_built=tuple(image for image in outcomes if isinstance(image, NotBuilt)),
    )


async def _probe(image: ImageSource, subject: Subject, platform: Platform, *, gpu: bool) -> list[Result]:
    spec = image.spec
    container = (await image.build(platform)).container
    prober = Prober(
        container=container,
        subject=subject,
        entrypoint=tuple(await container.entrypoint()),
        prefix="" if spec.dockerfile else environment_path(spec.environment),
        seconds=spec.probes.timeout or image.settings.probe_timeout,
        tools=image.settings.fetch_base,
        gpu=gpu,
    )
    return await prober.run(spec.probes)
