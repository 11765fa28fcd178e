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
    format: Format,  # noqa: A002 -- what the option is called
) -> str:
    """What changed in an image's lock since a previous one.

    Raises:
        PipelineError: there is no such image, or one of the locks is not there or cannot be read.
    """
    source = checkout.image(image)
    path, previous = await find_previous(checkout.path, checkout.logins, image, reference, file)
    before = read_packages(path, f"the previous {LOCK} ({previous})", "compare with another one")
    after = source.files.packages()
    committed = previous_digests(checkout.path, image, reference, file)
    changed = () if committed is None else base_images.compare(committed, source.base_lock or {})
    return report(compare(image, previous, before, after, changed), format)
