"""Run a function for many items at once; all failures are reported, not the first one alone."""

from collections.abc import Awaitable, Callable, Iterable

import anyio

from pipeline.errors import Code, PipelineError


async def outcomes_of[T, R](function: Callable[[T], Awaitable[R]], items: Iterable[T]) -> list[R | PipelineError]:
    """Run a function for all items at once; return the result or the failure of each, in the order of the items."""
    known = list(items)
    outcomes: dict[int, R | PipelineError] = {}

    async def attempt(number: int, item: T) -> None:
        try:
            outcomes[number] = await function(item)
        except PipelineError as error:
            outcomes[number] = error

    async with anyio.create_task_group() as tasks:
        for number, item in enumerate(known):
            tasks.start_soon(attempt, number, item)
    return [outcomes[number] for number in range(len(known))]


async def results_of[T, R](function: Callable[[T], Awaitable[R]], items: Iterable[T]) -> list[R]:
    """Run a function for all items at once, each to its end; return the results in the order of the items.

    Raises:
        PipelineError: it failed for some items; the message has a line for each of them.
    """
    outcomes = await outcomes_of(function, items)
    failures = [outcome for outcome in outcomes if isinstance(outcome, PipelineError)]
    if len(failures) > 1:
        raise PipelineError(Code.SEVERAL_FAILURES, "\n".join(sorted(map(str, failures))))
    if failures:
        raise failures[0]
    return [outcome for outcome in outcomes if not isinstance(outcome, PipelineError)]
