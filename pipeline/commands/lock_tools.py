"""Locking of the pipeline's tool images in tools.lock, by the digests that their tags have now."""

from collections.abc import Sequence

import dagger
from dagger import dag

from pipeline.checkout import Checkout
from pipeline.concurrency import results_of
from pipeline.engine_errors import explain
from pipeline.errors import Code, LockError, PipelineError
from pipeline.locks import tool_images
from pipeline.locks.base_images import compare
from pipeline.output.console import log
from pipeline.output.tables import SHORT_DIGEST, draw_table


async def relock_tools(checkout: Checkout, packages: Sequence[str], *, check: bool) -> dagger.Changeset:
    """Lock the tool images again, report the changes, and return them.

    Args:
        checkout: the checkout; with ``check``, it was opened with its tools.lock, which was found to fit.
        packages: must be empty, because packages belong to an image.
        check: change nothing.

    Raises:
        PipelineError: packages are named without an image, or a tool image cannot be found.
    """
    if packages:
        raise PipelineError(
            Code.OPTION_CONFLICT, "--package needs --image: packages are those of an image; name it, or leave both out"
        )
    if check:
        log(describe(checkout))
        return checkout.source.changes(checkout.source)
    images = tool_images.to_lock(checkout.settings)

    async def find(tool: tuple[str, str]) -> tuple[str, str]:
        key, reference = tool
        return reference, await find_digest(checkout, key, reference)

    digests = dict(await results_of(find, list(images.items())))
    log(report(checkout, digests))
    locked = checkout.source
    if digests:
        locked = locked.with_new_file(tool_images.FILE, tool_images.write(digests))
    elif (checkout.path / tool_images.FILE).is_file():  # left from before the settings had digests
        locked = locked.without_file(tool_images.FILE)
    return locked.changes(checkout.source)


async def find_digest(checkout: Checkout, key: str, reference: str) -> str:
    """Return the digest of a tool image that its tag has now.

    Raises:
        PipelineError: it cannot be found.
    """
    try:
        return (await dag.container().from_(reference).image_ref()).rpartition("@")[2]
    except dagger.QueryError as error:
        cause = explain(error, checkout.logins.registries)
        raise PipelineError(
            cause.code, f"'{key}' in {checkout.settings.file.name} cannot be locked: {cause.message}"
        ) from error


def describe(checkout: Checkout) -> str:
    """Return the line about tool images that fit their lock, or that have none."""
    note = tool_images.unpinned(checkout.settings)
    return f"{note}\n" if note else f"{tool_images.FILE} is fresh: it has the digests of all tool images\n"


def report(checkout: Checkout, digests: dict[str, str]) -> str:
    """Return a table of the tool images with another digest than before."""
    try:
        before = tool_images.read(checkout.path) or {}
    except LockError:  # the reason to lock again
        before = {}
    rows = [
        (change.reference, (change.before or "")[:SHORT_DIGEST], (change.after or "")[:SHORT_DIGEST])
        for change in compare(before, digests)
    ]
    return draw_table(("tool image", "from", "to"), rows) if rows else f"{tool_images.FILE} has the newest digests\n"
