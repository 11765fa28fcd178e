"""The changes of an image's lock since a previous one."""

import dagger

from pipeline.checkout import Checkout
from pipeline.locks import base_images
from pipeline.locks.diff import compare, report
from pipeline.locks.image_lock import LOCK
from pipeline.locks.lockfile import read_packages
from pipeline.locks.previous import find_previous, previous_digests
from pipeline.output.formats import Format


async def report_changes(
    checkout: Checkout,
    image: str,
    reference: str,
    file: dagger.File | None,
    format: Format,  # noqa: A002 -- the name of the option
) -> str:
    """Report the changes of an image's lock since a previous one.

    Raises:
        PipelineError: there is no such image, or one of the locks is missing or cannot be read.
    """
    source = checkout.image(image)
    path, previous = await find_previous(checkout.path, checkout.logins, image, reference, file)
    before = read_packages(path, f"the previous {LOCK} ({previous})", "compare with another one")
    after = source.files.packages()
    digests = previous_digests(checkout.path, image, reference, file)
    changed = () if digests is None else base_images.compare(digests, source.base_lock or {})
    return report(compare(image, previous, before, after, changed), format)
