"""Smoke tests: build images, run their probes, and fail once with everything that failed."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import anyio
import dagger

from pipeline.build.pixi_image import environment_path
from pipeline.config.image_toml import ImageSpec, Platform
from pipeline.errors import BuildError, PipelineError, SmokeTestError
from pipeline.output.formats import ResultFormat
from pipeline.smoke.evaluate import Subject
from pipeline.smoke.results import NotBuilt, Result, Results, write
from pipeline.smoke.runner import GPU_PROBES, Prober

if TYPE_CHECKING:
    from pipeline.checkout import Checkout


def require_gpu_probe(specs: Mapping[str, ImageSpec]) -> None:
    """Refuse a test with GPUs that would look for none.

    Raises:
        SmokeTestError: none of the images has a probe that looks for GPUs.
    """
    if not any(GPU_PROBES.intersection(spec.probes.scripts) for spec in specs.values()):
        raise SmokeTestError(
            f"--gpu was given, but no probe of {', '.join(specs)} looks for a GPU; "
            f"add {' or '.join(sorted(GPU_PROBES))} to 'scripts' of [probes] in its image.toml, or leave --gpu out"
        )


async def probe_images(checkout: "Checkout", specs: Mapping[str, ImageSpec], *, gpu: bool) -> Results:
    """Build images for each of their platforms, and run all their probes at once.

    Args:
        checkout: where they are built.
        specs: the images.
        gpu: give the probes that look for GPUs all of the engine, and expect them to find one.
    """
    found: dict[tuple[str, Platform], list[Result] | NotBuilt] = {
        (image, platform): [] for image, spec in specs.items() for platform in spec.platforms
    }

    async def test(image: str, platform: Platform) -> None:
        subject = Subject(image, platform if len(specs[image].platforms) > 1 else "")
        try:
            found[image, platform] = await _probe(checkout, subject, specs[image], platform, gpu=gpu)
        except PipelineError as error:
            found[image, platform] = NotBuilt(image=image, platform=subject.platform, reason=str(error))

    async with anyio.create_task_group() as tasks:
        for image, platform in found:
            tasks.start_soon(test, image, platform)
    return Results(
        results=tuple(result for group in found.values() if isinstance(group, list) for result in group),
        not_built=tuple(image for image in found.values() if isinstance(image, NotBuilt)),
    )


async def _probe(
    checkout: "Checkout", subject: Subject, spec: ImageSpec, platform: Platform, *, gpu: bool
) -> list[Result]:
    container = (await checkout.build(subject.image, platform)).container
    try:
        await container.sync()
    except dagger.QueryError as error:
        raise BuildError(
            f"{subject.image}: its last steps failed: {error}; run the same command again, and look at the engine's log"
        ) from error
    prober = Prober(
        container=container,
        subject=subject,
        entrypoint=tuple(await container.entrypoint()),
        prefix="" if spec.dockerfile else environment_path(spec.environment),
        seconds=spec.probes.timeout or checkout.settings.probe_timeout,
        gpu=gpu,
    )
    return await prober.run(spec.probes)


def require_passed(results: Results, format: ResultFormat) -> str:  # noqa: A002  # what the option is called
    """The report of a test that passed; one that failed fails once, with everything that failed and the report.

    Raises:
        SmokeTestError: a probe failed, or an image could not be built.
    """
    if results.passed:
        return write(results, format)
    # Of images that were not built and nothing else, the report would say the same again.
    report = [write(results, format)] if results.results else []
    raise SmokeTestError("\n".join([results.verdict(), *report]))
