"""Run a function for many items at once; all failures are reported, not the first one alone."""

from collections.abc import Awaitable, Callable, Iterable

import anyio
import dagger

from pipeline.engine_errors import explain
from pipeline.errors import Code, PipelineError


async def results_of[T, R](function: Callable[[T], Awaitable[R]], items: Iterable[T]) -> list[R]:
    """Run a function for all items at once, each to its end; return the results in the order of the items.

    Raises:
        PipelineError: it failed for some items; the message has a line for each of them.
    """
    results: dict[int, R] = {}
    failures: list[PipelineError] = []

    async def attempt(number: int, item: T) -> None:
        try:
            results[number] = await function(item)
        except PipelineError as error:
            failures.append(error)
        except dagger.DaggerError as error:
            failures.append(explain(error))

    async with anyio.create_task_group() as tasks:
        for number, item in enumerate(items):
            tasks.start_soon(attempt, number, item)
    if len(failures) > 1:
        raise PipelineError(Code.SEVERAL_FAILURES, "\n".join(sorted(map(str, failures))))
    if failures:
        raise failures[0]
    return [results[number] for number in sorted(results)]
