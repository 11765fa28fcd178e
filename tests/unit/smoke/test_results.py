import json
from xml.etree import ElementTree as ET

import pytest

from pipeline.output.formats import ResultFormat
from pipeline.smoke.results import FILES, NotBuilt, Result, Results, write

PYTHON = Result(image="small", kind="script", name="python", version="3.12.1", detail="OpenSSL", seconds=1.5)
NUMPY = Result(image="small", kind="import", name="numpy")
SCIPY = Result(
    image="small", kind="import", name="scipy", failure="was killed by signal 11 (SIGSEGV)", output="a\x1b<b>"
)
PANDAS = Result(image="small", kind="import", name="pandas")
GIT = Result(image="small", platform="linux/arm64", kind="command", name="git --version", failure="exited with 1")
LARGE = NotBuilt(image="large", reason="large: no package")
RESULTS = Results(results=(PYTHON, NUMPY, SCIPY, PANDAS, GIT), not_built=(LARGE,))


def test_all_that_passed_is_a_sentence_too() -> None:
    """A run without failures passed, and says how many probes there were."""
    results = Results(results=(PYTHON, NUMPY))
    assert (results.passed, results.verdict()) == (True, "2 of 2 probes passed")


def test_the_verdict_names_everything_that_failed() -> None:
    """Images that were not built come first, then all probes that failed in one sentence."""
    assert not RESULTS.passed
    assert RESULTS.verdict().splitlines() == [
        "large: no package",
        "2 of 5 probes failed (small: import scipy was killed by signal 11 (SIGSEGV); "
        "small (linux/arm64): git --version exited with 1)",
    ]


def test_the_table_folds_imports_that_passed() -> None:
    """Imports that passed share a row; each that failed has one of its own, and its output below the table."""
    text = write(RESULTS, ResultFormat.TABLE)
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if line.startswith("│")]
    assert ["small", "imports", "passed", "", "2 modules: numpy, pandas"] in rows
    assert ["small", "import scipy", "failed", "", "was killed by signal 11 (SIGSEGV)"] in rows
    assert ["small", "python", "passed", "3.12.1", "OpenSSL"] in rows
    assert ["small (linux/arm64)", "git --version", "failed", "", "exited with 1"] in rows
    assert ["large", "", "failed", "", "not built"] in rows
    assert "small: import scipy was killed by signal 11 (SIGSEGV); it printed last:\na\x1b<b>\n" in text


def test_json_has_everything() -> None:
    """Programs get every result with all that is known of it, and whether all passed."""
    report = json.loads(write(RESULTS, ResultFormat.JSON))
    assert report["passed"] is False
    assert report["not_built"] == [{"image": "large", "platform": "", "reason": "large: no package"}]
    assert report["results"][0] == {
        "image": "small",
        "platform": "",
        "kind": "script",
        "name": "python",
        "version": "3.12.1",
        "detail": "OpenSSL",
        "failure": "",
        "output": "",
        "seconds": 1.5,
    }


def test_junit_has_a_case_a_probe() -> None:
    """Each image is a suite and each probe a case; failures have their output, and failed builds are errors."""
    root = ET.fromstring(write(RESULTS, ResultFormat.JUNIT))  # noqa: S314  # our own
    assert {name: root.get(name) for name in ("tests", "failures", "errors")} == {
        "tests": "6",
        "failures": "2",
        "errors": "1",
    }
    assert [suite.get("name") for suite in root] == ["small", "small (linux/arm64)", "large"]
    python, numpy, scipy, _ = root[0]
    assert (python.get("name"), python.get("classname"), python.get("time")) == ("python", "small.script", "1.5")
    assert (numpy.get("name"), numpy.find("failure")) == ("import numpy", None)
    failure = scipy.find("failure")
    assert failure is not None
    assert (failure.get("message"), failure.text) == (
        "was killed by signal 11 (SIGSEGV)",
        "a\N{REPLACEMENT CHARACTER}<b>",
    )
    error = root[2][0].find("error")
    assert error is not None
    assert error.get("message") == "large: no package"


def test_markdown_is_for_a_pull_request() -> None:
    """The count comes first, then what was not built, the table, and the output of failures folded away."""
    lines = write(RESULTS, ResultFormat.MARKDOWN).splitlines()
    assert lines[:4] == ["**3 of 5 probes passed**", "", "large: no package", ""]
    assert [cell.strip() for cell in lines[4].strip("|").split("|")] == ["image", "probe", "result", "version", "found"]
    assert "<details><summary>small: import scipy</summary>" in lines


@pytest.mark.parametrize("output", ["```", "a ````` b"])
def test_no_output_ends_its_fence(output: str) -> None:
    """Output that has a fence in it is still shown whole, as text."""
    failed = Result(image="small", kind="command", name="x", failure="exited with 1", output=output)
    text = write(Results(results=(failed,)), ResultFormat.MARKDOWN)
    fence = text.split("\n</details>")[0].splitlines()[-1]
    assert set(fence) == {"`"}
    assert fence not in output
    assert f"{fence}text\n{output}\n{fence}\n" in text


def test_every_format_has_a_file() -> None:
    """A report is called after what it is, and no two formats share a name."""
    assert set(FILES) == set(ResultFormat)
    assert len(set(FILES.values())) == len(FILES)
