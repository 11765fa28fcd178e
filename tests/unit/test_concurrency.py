"""Many at once: results in order, all failures reported, a bug as it is."""

import anyio
import dagger
import pytest

from pipeline.concurrency import limit_parallelism, results_of
from pipeline.config.settings import default_parallelism
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


class Running:
    """Counts what runs at once: functions that do something, and not those that wait for others."""

    def __init__(self) -> None:
        self.now = self.most = 0

    async def work(self, _: object = None) -> None:
        """Do something for a while."""
        self.now += 1
        self.most = max(self.most, self.now)
        await anyio.sleep(0.002)
        self.now -= 1


@pytest.mark.parametrize("limit", [1, 3])
async def test_a_limit_holds_for_all_loops_together(limit: int) -> None:
    """Five images, and seven probes of each: one limit for all, and no loop waits for the one that it is in."""
    limit_parallelism(limit)
    running = Running()

    async def test(image: int) -> list[None]:
        await running.work()
        done = await results_of(running.work, range(7))
        await running.work()
        assert image < 5
        return done

    with anyio.fail_after(5):
        done = await results_of(test, range(5))
    assert [len(of_one) for of_one in done] == [7] * 5
    assert running.most == limit


async def test_a_failed_inner_loop_leaves_its_place() -> None:
    """The others go on, at the same number."""
    limit_parallelism(1)
    running = Running()

    async def test(image: int) -> None:
        if image == 0:
            await results_of(halve, [1])
        await running.work()

    with anyio.fail_after(5), refused(Code.STEP_FAILED, "1 is odd"):
        await results_of(test, range(3))
    with anyio.fail_after(5):
        await results_of(running.work, range(3))
    assert running.most == 1


async def test_a_cancelled_loop_leaves_its_places() -> None:
    """A bug in one function ends the others, wherever each of them waits."""
    limit_parallelism(1)

    async def test(image: int) -> None:
        await results_of(anyio.sleep, [0.001])
        assert image != 1

    with pytest.raises(ExceptionGroup):
        await results_of(test, range(3))
    with anyio.fail_after(5):
        assert await results_of(halve, [2, 4]) == [5, 4]


async def test_without_a_setting_cores_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not fewer than four, because much of the work waits for a network."""
    monkeypatch.setattr("os.cpu_count", lambda: 16)
    running = Running()
    await results_of(running.work, range(40))
    assert running.most == 16
    monkeypatch.setattr("os.cpu_count", lambda: None)
    assert default_parallelism() == 4
