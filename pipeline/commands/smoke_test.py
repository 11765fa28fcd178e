"""Smoke tests: build images, run their probes, and fail if any probe fails."""

from collections.abc import Sequence

from pipeline.checkout import Checkout, ImageSource
from pipeline.errors import Code, PipelineError
from pipeline.smoke.probe_images import probe_images
from pipeline.smoke.results import NotBuilt, Results
from pipeline.smoke.runner import GPU_PROBES


async def smoke_test(checkout: Checkout, image: str | None, *, gpu: bool) -> Results:
    """Build one image or all, and run all their probes at once.

    Raises:
        PipelineError: ``gpu`` is given and no probe looks for a GPU, or the image.toml of the named image is invalid.
    """
    images, errors = checkout.usable_images(image)
    if gpu:
        require_gpu_probe(images)
    results = await probe_images(images, gpu=gpu)
    invalid = (NotBuilt(image=name, reason=str(error)) for name, error in errors.items())
    return results.model_copy(update={"not_built": (*invalid, *results.not_built)})


def require_gpu_probe(images: Sequence[ImageSource]) -> None:
    """Reject a test with GPUs if no probe looks for one.

    Raises:
        PipelineError: none of the images has a probe that looks for GPUs.
    """
    if not any(GPU_PROBES.intersection(image.spec.probes.scripts) for image in images):
        raise PipelineError(
            Code.OPTION_CONFLICT,
            f"--gpu was given, but no probe of {', '.join(image.name for image in images)} looks for a GPU; "
            f"add {' or '.join(sorted(GPU_PROBES))} to 'scripts' of [probes] in its image.toml, or leave --gpu out",
        )
