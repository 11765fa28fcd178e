"""Steps of tool containers: the reason of a failed one, whatever it printed."""

from collections.abc import Awaitable, Callable
from typing import Any

import dagger
import pytest
from dagger import dag

from pipeline.attestations import sbom
from pipeline.build.tool_container import read_report
from pipeline.commands import report
from pipeline.engine_errors import reason_of
from pipeline.errors import Code, PipelineError
from pipeline.output.formats import SbomFormat
from pipeline.page import Page
from pipeline.scripts.messages import Sbom
from tests.unit.refusals import refused
from tests.unit.steps import Failing, exec_error

NOTHING = "it printed nothing"


@pytest.mark.parametrize(
    ("stdout", "stderr", "reason"),
    [("", "", NOTHING), (" \n", "\n\n", NOTHING), ("out\n", "", "out"), ("out", "first\nlast \n\n", "last")],
)
def test_the_reason_is_the_last_line(stdout: str, stderr: str, reason: str) -> None:
    """Of the errors before the output, and never an error of its own."""
    assert reason_of(exec_error(stdout, stderr)) == reason


def list_contents() -> Awaitable[object]:
    """List the packages of an image."""
    return sbom.look("small", dag.container(), "/app", "python")


def write_sbom() -> Awaitable[object]:
    """Write an SBOM."""
    return sbom.write(Sbom(name="small", version="", time=0, components=()), SbomFormat.SPDX, "python")


def draw_page() -> Awaitable[object]:
    """Draw a page."""
    return report.draw(Page.model_construct(image="small"), "python")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("step", "code"),
    [(list_contents, Code.SBOM_FAILED), (write_sbom, Code.SBOM_FAILED), (draw_page, Code.STEP_FAILED)],
)
async def test_a_step_that_printed_nothing_is_one_sentence(
    step: Callable[[], Awaitable[dagger.File]], code: Code, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed process prints nothing."""
    for module in (sbom, report):
        monkeypatch.setattr(module, "dag", Failing(exec_error(code=137)))
    with refused(code, "small", NOTHING):
        await step()


class Printed:
    """Stands for a container whose last step prints a text."""

    def __init__(self, text: str) -> None:
        self.text = text

    async def stdout(self) -> str:
        """Return the text."""
        return self.text


@pytest.mark.asyncio
async def test_a_report_is_read() -> None:
    """It is an object of the type that was asked for."""
    printed: Any = Printed('{"digest": "sha256:0"}')
    assert await read_report(printed, dict[str, str], "x") == {"digest": "sha256:0"}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("executed", "reason"),
    [
        (Failing(exec_error(stderr="no room\n")), "no room"),
        (Printed("Traceback"), "the step gave no report"),
    ],
)
async def test_a_missing_report_is_told_with_the_image(executed: object, reason: str) -> None:
    """With what was not done, and why."""
    step: Any = executed
    with pytest.raises(PipelineError) as error:
        await read_report(step, dict[str, str], "small: its layers were not made")
    assert error.value.code is Code.STEP_FAILED
    assert error.value.message == (
        f"small: its layers were not made: {reason}; see that the engine has room on its disk, and run the same "
        "command again"
    )
