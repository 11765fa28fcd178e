"""The changes of an image's lock since a previous one."""

import dagger

from pipeline.checkout import Checkout
from pipeline.locks import base_images
from pipeline.locks.diff import compare, report
from pipeline.locks.image_lock import LOCK
from pipeline.locks.lockfile import read_packages
from pipeline.locks.previous import earlier_bases, find_lock
from pipeline.output.formats import Format


async def report_changes(
    checkout: Checkout,
    image: str,
    reference: str,
    file: dagger.File | None,
    format: Format,  # noqa: A002 -- what the option is called
) -> str:
    """What changed in an image's lock since an earlier one.

    Raises:
        PipelineError: there is no such image, or one of the locks is not there or cannot be read.
    """
    source = checkout.image(image)
    path, earlier = await find_lock(checkout.path, checkout.logins, image, reference, file)
    before = read_packages(path, f"the earlier {LOCK} ({earlier})", "compare with another one")
    after = source.files.packages()
    committed = earlier_bases(checkout.path, image, reference, file)
    changed = () if committed is None else base_images.compare(committed, source.base_lock or {})
    return report(compare(image, earlier, before, after, changed), format)
