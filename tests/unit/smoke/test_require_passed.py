import json

from pipeline.errors import Code
from pipeline.output.formats import ResultFormat
from pipeline.smoke.results import NotBuilt, Result, Results, require_passed
from tests.unit.refusals import refused, require_facts

PASSED = Result(image="small", kind="script", name="python", version="3.12.1", detail="OpenSSL")
FAILED = Result(image="small", kind="script", name="root", failure="exited with 1", output="the reason")
NOT_BUILT = NotBuilt(image="large", reason="large: no package")


def test_the_report_is_returned_when_all_passed() -> None:
    """A test without failures ends with its report."""
    assert "3.12.1" in require_passed(Results(results=(PASSED,)), ResultFormat.TABLE)


def test_everything_that_failed_is_raised_once() -> None:
    """The first line has all failures, and the report follows."""
    failed = (FAILED, Result(image="small", kind="import", name="numpy", failure="failed: no"))
    with refused(Code.PROBES_FAILED) as raised:
        require_passed(Results(results=(PASSED, *failed)), ResultFormat.TABLE)
    first, *table = raised.value.message.splitlines()
    require_facts(first, "2 of 3", "small: root exited with 1", "small: import numpy failed: no")
    assert any("3.12.1" in line for line in table)


def test_a_failure_has_its_report_in_the_format_that_was_asked_for() -> None:
    """JSON follows the first line where JSON was requested."""
    with refused(Code.PROBES_FAILED) as raised:
        require_passed(Results(results=(FAILED,)), ResultFormat.JSON)
    first, report = raised.value.message.split("\n", 1)
    require_facts(first, "1 of 1", "small: root exited with 1")
    assert json.loads(report)["results"][0]["output"] == "the reason"


def test_an_image_that_was_not_built_does_not_hide_the_others() -> None:
    """The reason of a failed build is above the results of the images that were built."""
    with refused(Code.PROBES_FAILED) as raised:
        require_passed(Results(results=(PASSED,), not_built=(NOT_BUILT,)), ResultFormat.TABLE)
    first, report = raised.value.message.split("\n", 1)
    assert first == NOT_BUILT.reason
    assert "3.12.1" in report


def test_the_only_image_that_was_not_built_has_no_report() -> None:
    """The reason of a failed build is the whole message."""
    with refused(Code.PROBES_FAILED) as raised:
        require_passed(Results(not_built=(NOT_BUILT,)), ResultFormat.TABLE)
    assert raised.value.message == NOT_BUILT.reason
