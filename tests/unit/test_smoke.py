import json

import pytest

from pipeline.errors import BuildError, SmokeTestError
from pipeline.probe import Probes
from pipeline.smoke import SHOWN_LINES, Report, Result, failed, judge, require_gpu_probe, require_passed, summarize
from pipeline.spec import ImageSpec

PASSED = Result(image="small", probe="python", report=Report(version="3.12.1", detail="OpenSSL"))


def report(**values: object) -> str:
    """What a probe prints."""
    return "noise\n" + json.dumps({"version": "1", "detail": "d", **values}) + "\n"


def test_the_last_line_is_the_report() -> None:
    """A probe may print what it likes before its report."""
    result = judge("small", "root", report(), gpu=False)
    assert (result.failure, result.report) == ("", Report(version="1", detail="d"))


@pytest.mark.parametrize("output", ["", "no JSON", "{}", '{"version": 1}', "[]"])
def test_no_report_is_a_failure(output: str) -> None:
    """A probe that exits with 0 and did not get to its end has failed."""
    assert judge("small", "root", output, gpu=False).failure == "ended without its report"


@pytest.mark.parametrize(
    ("values", "gpu", "failure"),
    [
        ({"cuda": True, "gpus": []}, False, ""),
        ({"cuda": True, "gpus": []}, True, "found no GPU"),
        ({"cuda": False, "gpus": []}, True, "is not a CUDA build, so it finds no GPU"),
        ({"cuda": True, "gpus": ["A100"]}, True, ""),
        ({}, True, ""),
    ],
)
def test_a_missing_gpu_counts_when_it_was_asked_for(values: dict[str, object], failure: str, *, gpu: bool) -> None:
    """Only a test with GPUs fails for want of one, and only the probe that looks for them."""
    assert judge("small", "tensorflow", report(**values), gpu=gpu).failure == failure


def test_a_gpu_for_nothing_is_refused() -> None:
    """--gpu with images none of whose probes looks for a GPU is a mistake, not a success."""
    with pytest.raises(SmokeTestError, match=r"^--gpu was given, but no probe of small looks for a GPU; add one of"):
        require_gpu_probe({"small": ImageSpec(description="x", probes=Probes(scripts=("python",)))})
    require_gpu_probe({"small": ImageSpec(description="x", probes=Probes(scripts=("python", "tensorflow")))})


@pytest.mark.parametrize(
    ("exit_code", "failure"), [(124, "did not end within 9 s"), (137, "was killed by signal 9"), (1, "exited with 1")]
)
def test_a_command_that_failed_says_how(exit_code: int, failure: str) -> None:
    """Time-outs, signals and exit codes are told apart, and the end of the output is kept."""
    result = failed("small", "root", exit_code, "\n".join(map(str, range(100))), 9)
    assert result.failure == failure
    assert result.output.splitlines() == [str(number) for number in range(100 - SHOWN_LINES, 100)]


def test_the_table_has_every_probe_and_the_output_of_the_failed() -> None:
    """One table for all, then what failed probes printed."""
    text = summarize([PASSED, failed("small", "root", 1, "the [reason]", 9)])
    assert "python" in text
    assert "3.12.1" in text
    assert "passed" in text
    assert "failed" in text
    assert text.endswith("small: probe root exited with 1; it printed last:\nthe [reason]\n")


def test_nothing_is_raised_when_all_passed() -> None:
    """A test without failures ends quietly."""
    require_passed([PASSED])


def test_everything_that_failed_is_raised_once() -> None:
    """All failures are told in one sentence, with the table after it."""
    results = [PASSED, failed("small", "root", 1, "", 9), failed("small", "tensorflow", 124, "", 9)]
    with pytest.raises(SmokeTestError) as raised:
        require_passed(results)
    first, *table = str(raised.value).splitlines()
    assert first == "2 of 3 probes failed (small: root exited with 1; small: tensorflow did not end within 9 s)"
    assert any("3.12.1" in line for line in table)


def test_an_image_that_was_not_built_does_not_hide_the_others() -> None:
    """A failed build is told together with the results of the images that were built."""
    with pytest.raises(SmokeTestError) as raised:
        require_passed([PASSED], [BuildError("large: no package")])
    assert str(raised.value).startswith("large: no package\n")
    assert "3.12.1" in str(raised.value)


def test_the_only_image_that_was_not_built_is_told_alone() -> None:
    """One failed build and nothing else is that failure itself."""
    with pytest.raises(BuildError, match=r"^small: no package$"):
        require_passed([], [BuildError("small: no package")])
