import json

import pytest

from pipeline.errors import PipelineError
from pipeline.output.formats import ResultFormat
from pipeline.smoke.results import NotBuilt, Result, Results, require_passed

PASSED = Result(image="small", kind="script", name="python", version="3.12.1", detail="OpenSSL")
FAILED = Result(image="small", kind="script", name="root", failure="exited with 1", output="the reason")
NOT_BUILT = NotBuilt(image="large", reason="large: no package")


def test_the_report_is_returned_when_all_passed() -> None:
    """A test without failures ends with its report."""
    assert "3.12.1" in require_passed(Results(results=(PASSED,)), ResultFormat.TABLE)


def test_everything_that_failed_is_raised_once() -> None:
    """All failures are told in one sentence, with the report after it."""
    failed = (FAILED, Result(image="small", kind="import", name="numpy", failure="failed: no"))
    with pytest.raises(PipelineError) as raised:
        require_passed(Results(results=(PASSED, *failed)), ResultFormat.TABLE)
    first, *table = raised.value.message.splitlines()
    assert first == "2 of 3 probes failed (small: root exited with 1; small: import numpy failed: no)"
    assert any("3.12.1" in line for line in table)


def test_a_failure_has_its_report_in_the_format_that_was_asked_for() -> None:
    """Whoever asked for JSON finds JSON after the sentence."""
    with pytest.raises(PipelineError) as raised:
        require_passed(Results(results=(FAILED,)), ResultFormat.JSON)
    sentence, report = raised.value.message.split("\n", 1)
    assert sentence == "1 of 1 probes failed (small: root exited with 1)"
    assert json.loads(report)["results"][0]["output"] == "the reason"


def test_an_image_that_was_not_built_does_not_hide_the_others() -> None:
    """A failed build is told together with the results of the images that were built."""
    with pytest.raises(PipelineError) as raised:
        require_passed(Results(results=(PASSED,), not_built=(NOT_BUILT,)), ResultFormat.TABLE)
    assert raised.value.message.startswith("large: no package\n")
    assert "3.12.1" in raised.value.message


def test_the_only_image_that_was_not_built_is_told_alone() -> None:
    """One failed build and nothing else is that sentence and nothing else."""
    with pytest.raises(PipelineError, match=r"^large: no package \[probes-failed\]$"):
        require_passed(Results(not_built=(NOT_BUILT,)), ResultFormat.TABLE)
