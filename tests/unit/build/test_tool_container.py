"""Steps of tool containers: the reason of a failed one, whatever it printed."""

from collections.abc import Awaitable, Callable

import dagger
import pytest
from dagger import dag

from pipeline.attestations import sbom
from pipeline.commands import report
from pipeline.engine_errors import reason_of
from pipeline.errors import Code
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
