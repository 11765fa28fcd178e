"""Many at once: results in order, all failures reported, a bug as it is."""

import anyio
import dagger
import pytest

from pipeline.concurrency import results_of
from pipeline.errors import Code, PipelineError
from tests.unit.refusals import refused

pytestmark = pytest.mark.asyncio


async def halve(number: int) -> int:
    """The larger, the sooner; odd numbers fail, and zero is a bug."""
    await anyio.sleep(0.01 / (number + 1))
    if number % 2:
        raise PipelineError(Code.STEP_FAILED, f"{number} is odd")
    return 10 // number * number // 2


async def test_results_have_the_order_of_the_items() -> None:
    """Whichever ends first."""
    assert await results_of(halve, [2, 10, 4]) == [5, 5, 4]
    assert await results_of(halve, []) == []


async def test_the_others_go_on_when_one_fails() -> None:
    """Each item ends with its result or its failure."""
    ended = []

    async def note(number: int) -> None:
        ended.append((number, await halve(number)))

    with refused(Code.SEVERAL_FAILURES) as caught:
        await results_of(note, [1, 2, 3])
    assert ended == [(2, 5)]
    assert caught.value.message == "1 is odd [step-failed]\n3 is odd [step-failed]"


async def test_every_failure_is_in_the_message() -> None:
    """One keeps its code; several are lines of one message."""
    with refused(Code.STEP_FAILED, "3 is odd"):
        await results_of(halve, [2, 3])
    with refused(Code.SEVERAL_FAILURES) as several:
        await results_of(halve, [3, 2, 1])
    assert several.value.message == "1 is odd [step-failed]\n3 is odd [step-failed]"


async def test_an_error_of_the_engine_is_a_failure() -> None:
    """It becomes a sentence, beside those of the other items."""

    async def pull(number: int) -> int:
        if not number:
            raise dagger.TransportError("closed")
        return await halve(number)

    with refused(Code.SEVERAL_FAILURES) as caught:
        await results_of(pull, [0, 1, 2])
    assert "1 is odd [step-failed]\nthe connection to the engine failed: closed; " in caught.value.message


async def test_a_bug_is_no_failure() -> None:
    """It ends the call with its traceback."""
    with pytest.raises(ExceptionGroup) as caught:
        await results_of(halve, [2, 0])
    assert caught.group_contains(ZeroDivisionError)
