"""Run a function for many items at once; all failures are reported, not the first one alone.

One limit holds for a whole call, however its loops are nested: a function that starts a loop of its own gives its place
away until that loop has ended. So nobody holds a place who only waits, and loops cannot block each other.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Self

import anyio
import dagger

from pipeline.config.settings import default_parallelism
from pipeline.engine_errors import explain
from pipeline.errors import Code, PipelineError


class _Place:
    """Place of a running function among those that may run at once."""

    def __init__(self, limiter: anyio.CapacityLimiter) -> None:
        self._limiter = limiter
        self._taken = False

    async def __aenter__(self) -> Self:
        await self._limiter.acquire_on_behalf_of(self)
        self._taken = True
        return self

    async def __aexit__(self, *_: object) -> None:
        # Not taken where the function was cancelled while it waited to take it again.
        if self._taken:
            self._taken = False
            self._limiter.release_on_behalf_of(self)


_limiter: ContextVar[anyio.CapacityLimiter | None] = ContextVar("limiter", default=None)
_place: ContextVar[_Place | None] = ContextVar("place", default=None)


def limit_parallelism(count: int) -> None:
    """Set the number of functions that run at once, for all loops of the calling task and of tasks that it starts."""
    _limiter.set(anyio.CapacityLimiter(count))


async def results_of[T, R](function: Callable[[T], Awaitable[R]], items: Iterable[T]) -> list[R]:
    """Run a function for all items, each to its end; return the results in the order of the items.

    As many run at once as :func:`limit_parallelism` allows.

    Raises:
        PipelineError: it failed for some items; the message has a line for each of them.
    """
    results: dict[int, R] = {}
    failures: list[PipelineError] = []

    async def attempt(number: int, item: T) -> None:
        async with _Place(_shared_limiter()) as place:
            _place.set(place)
            try:
                results[number] = await function(item)
            except PipelineError as error:
                failures.append(error)
            except dagger.DaggerError as error:
                failures.append(explain(error))

    _shared_limiter()
    async with _place_given_away(), anyio.create_task_group() as tasks:
        for number, item in enumerate(items):
            tasks.start_soon(attempt, number, item)
    if len(failures) > 1:
        raise PipelineError(Code.SEVERAL_FAILURES, "\n".join(sorted(map(str, failures))))
    if failures:
        raise failures[0]
    return [results[number] for number in sorted(results)]


def _shared_limiter() -> anyio.CapacityLimiter:
    limiter = _limiter.get()
    if limiter is None:
        limiter = anyio.CapacityLimiter(default_parallelism())
        _limiter.set(limiter)
    return limiter


@asynccontextmanager
async def _place_given_away() -> AsyncIterator[None]:
    """Free the place of the calling function, if it has one, and wait for it again at the end."""
    place = _place.get()
    if place is None:
        yield
        return
    await place.__aexit__()
    try:
        yield
    finally:
        await place.__aenter__()
