"""The images of a checkout with their descriptions."""

from pipeline.checkout import Checkout
from pipeline.errors import Code, PipelineError


def list_images(checkout: Checkout) -> str:
    """Return a line for each image.

    Raises:
        PipelineError: an image.toml cannot be used; the message has the lines of all other images.
    """
    images, errors = checkout.usable_images()
    width = max((len(image.name) for image in images), default=0)
    lines = "".join(f"{image.name:{width}}  {image.spec.description}\n" for image in images)
    if errors:
        problems = "\n".join(map(str, errors.values()))
        raise PipelineError(Code.CHECK_FAILED, f"{problems}\n{lines}")
    return lines
