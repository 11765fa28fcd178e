import json

import pytest

from pipeline.config.probes import CommandProbe, FileProbe, ServerProbe
from pipeline.smoke.evaluate import (
    SHOWN_LINES,
    Ended,
    Subject,
    command,
    ended,
    files,
    imports,
    missing_program,
    script,
    server,
)

SUBJECT = Subject("small", "linux/arm64")
LATE = "did not end within 9 s"


def report(**values: object) -> Ended:
    """The output of a script that ends well."""
    return Ended("noise\n" + json.dumps({"version": "1", "detail": "d", **values}) + "\n")


@pytest.mark.parametrize(
    ("stderr", "expected", "failure", "code"),
    [
        ("\nlimit: time", 0, LATE, None),
        ("oh\n\nlimit: 1\n", 0, "exited with 1", 1),
        ("limit: 0", 3, "exited with 0 instead of 3", 0),
        ("limit: 139", 0, "was killed by signal 11 (SIGSEGV)", 139),
        ("limit: 255", 0, "was killed by signal 127", 255),
        ("limit: 1\nbut not at its end", 0, "ended without an exit code, as when memory runs out", None),
        ("", 0, "ended without an exit code, as when memory runs out", None),
    ],
)
def test_how_a_command_ended(stderr: str, expected: int, failure: str, code: int | None) -> None:
    """Time, signals and exit codes are distinguished, and their marks are not part of the output."""
    end = ended("out", stderr, LATE, expected)
    assert (end.failure, end.exit_code) == (failure, code)
    assert code is None or "limit" not in end.output


def test_the_end_of_an_output_is_kept() -> None:
    """Both streams are shown, their last lines only, and without colours."""
    end = Ended("\n".join(map(str, range(100))), "\x1b[31mred\x1b[0m\n\n")
    assert end.output.splitlines() == [*(str(number) for number in range(101 - SHOWN_LINES, 100)), "red"]


def test_a_result_says_whose_it_is() -> None:
    """Image and platform are in every result."""
    result = script(SUBJECT, "python", report(), with_gpu=False)
    assert (result.subject, result.kind, result.name) == ("small (linux/arm64)", "script", "python")


def test_the_last_line_of_a_script_is_its_report() -> None:
    """A script may print what it likes before its report."""
    result = script(SUBJECT, "root", report(), with_gpu=False)
    assert (result.failure, result.version, result.detail, result.output) == ("", "1", "d", "")


@pytest.mark.parametrize("output", ["", "no JSON", "{}", '{"version": 1}', "[]"])
def test_no_report_is_a_failure(output: str) -> None:
    """A script that exits with 0 and did not get to its end has failed."""
    assert script(SUBJECT, "root", Ended(output), with_gpu=False).failure == "ended without its report"


def test_a_script_that_fails_says_how() -> None:
    """The failure is the way it ended, and its output is kept."""
    result = script(SUBJECT, "root", Ended("", "Traceback", "exited with 1", 1), with_gpu=False)
    assert (result.failure, result.output) == ("exited with 1", "Traceback")


@pytest.mark.parametrize(
    ("gpu", "with_gpu", "failure"),
    [({}, False, ""), ({}, True, "found no NVIDIA driver"), (None, True, "")],
)
def test_a_missing_gpu_is_a_failure_where_it_was_asked_for(
    gpu: dict[str, object] | None, failure: str, *, with_gpu: bool
) -> None:
    """GPUs are evaluated for a script that reports on them, and not for one that looks for none."""
    assert script(SUBJECT, "tensorflow", report(gpu=gpu), with_gpu=with_gpu).failure.startswith(failure)


def test_a_gpu_that_fails_is_the_failure_of_its_script() -> None:
    """A script that reported and then ended badly is evaluated by its report, and its log is kept."""
    found = report(gpu={"kernel_driver": "570.1", "built_with_cuda": True})
    result = script(SUBJECT, "tensorflow", Ended(found.stdout, "a log", "exited with 1", 1), with_gpu=True)
    assert result.failure.startswith("found a driver 570.1 but no device")
    assert "a log" in result.output


def test_imports_are_told_one_by_one() -> None:
    """A module that crashes, hangs or raises is reported as such, beside those that are fine."""
    entries = [
        {"module": "c", "ended": None, "output": "", "seconds": 9.0},
        {"module": "a", "ended": 0, "output": "", "seconds": 0.5},
        {"module": "b", "ended": -11, "output": "", "seconds": 0.1},
        {"module": "d", "ended": 1, "output": "Traceback\n  x\nImportError: no d\n", "seconds": 0.1},
    ]
    results = imports(SUBJECT, ["a", "b", "c", "d"], Ended("noise\n" + json.dumps(entries), "", "exited with 1", 1), 9)
    assert [(result.name, result.failure) for result in results] == [
        ("a", ""),
        ("b", "was killed by signal 11 (SIGSEGV)"),
        ("c", LATE),
        ("d", "failed: ImportError: no d"),
    ]
    assert (results[0].seconds, results[0].output) == (0.5, "")
    assert results[3].output.startswith("Traceback")


def test_imports_that_were_not_tried_have_failed() -> None:
    """If the process of all imports ended, none of them passed."""
    results = imports(SUBJECT, ["a", "b"], Ended("", "", "was killed by signal 9 (SIGKILL)", 137), 9)
    expected = "was not tried: the process that imports was killed by signal 9 (SIGKILL)"
    assert [result.failure for result in results] == [expected] * 2


def test_an_image_without_python_is_told_so() -> None:
    """Scripts and imports need Python, and say so in one sentence where there is none."""
    end = Ended("", "sh: python3: not found", "exited with 127", 127)
    expected = "needs python3, which the image does not have; take it out of '{}' of [probes], or add Python"
    assert script(SUBJECT, "python", end, with_gpu=False).failure == expected.format("scripts")
    assert imports(SUBJECT, ["a"], end, 9)[0].failure == expected.format("imports")


@pytest.mark.parametrize(
    ("keys", "end", "failure"),
    [
        ({}, Ended("git version 2\n"), ""),
        ({"stdout_matches": r"version \d"}, Ended("git version 2\n"), ""),
        ({"stdout_matches": r"^two$"}, Ended("one\ntwo\n"), ""),
        (
            {"stdout_matches": "3"},
            Ended("git version 2\n"),
            "does not satisfy 'stdout_matches': '3' is not in what it printed",
        ),
        ({"stdout_matches": "2"}, Ended("", "2"), "does not satisfy 'stdout_matches': '2' is not in what it printed"),
        ({"stderr_matches": "2"}, Ended("", "2"), ""),
        (
            {"stderr_matches": "2"},
            Ended("2"),
            "does not satisfy 'stderr_matches': '2' is not in what it printed as errors",
        ),
        ({"stdout_matches": "2"}, Ended("2", "", "exited with 1", 1), "exited with 1"),
        ({}, Ended("", "", "exited with 127", 127), "exited with 127 (a command was not found)"),
    ],
)
def test_a_command_has_to_end_and_say_what_it_should(keys: dict[str, str], end: Ended, failure: str) -> None:
    """Exit code and text are both evaluated, each stream by itself."""
    assert command(SUBJECT, CommandProbe.model_validate({"command": ["git"], **keys}), end).failure == failure


def test_a_command_that_passed_shows_its_first_line() -> None:
    """The detail is its first line, on either stream."""
    probe = CommandProbe(command=("java", "-version"))
    assert command(SUBJECT, probe, Ended("", "openjdk 21\nmore\n")).detail == "openjdk 21"


@pytest.mark.parametrize(
    ("keys", "fields", "failure"),
    [
        ({}, ("file", "644 root 0", ""), ""),
        ({}, ("", "", ""), "is not there"),
        ({}, ("folder", "755 root 0", ""), "is a folder, not a file"),
        ({}, ("other", "666 root 0", ""), "is neither a file nor a folder"),
        ({"kind": "folder"}, ("file", "644 root 0", ""), "is a file, not a folder"),
        ({"kind": "folder", "mode": "1777"}, ("folder", "1777 root 0", ""), ""),
        ({"mode": "0644"}, ("file", "644 root 0", ""), ""),
        ({"mode": "0644"}, ("file", "600 root 0", ""), "has mode 600, not 0644"),
        ({"mode": "0644"}, ("file", "", ""), "has mode unknown, not 0644"),
        ({"owner": "root"}, ("file", "644 root 0", ""), ""),
        ({"owner": "0"}, ("file", "644 root 0", ""), ""),
        ({"owner": "app"}, ("file", "644 root 0", ""), "belongs to root, not to app"),
        ({"matches": "^b"}, ("file", "644 root 0", "a\nb\n"), ""),
        ({"matches": "c"}, ("file", "644 root 0", "a\nb\n"), "does not satisfy 'matches': 'c' is not in what it has"),
    ],
)
def test_a_file_has_to_be_as_it_should(keys: dict[str, str], fields: tuple[str, ...], failure: str) -> None:
    """Kind, mode, owner and text are evaluated, in this order."""
    probe = FileProbe.model_validate({"path": "/a", **keys})
    other = FileProbe(path="/b")
    end = Ended("\0".join(["file", "644 root 0", "", *fields, ""]))
    first, second = files(SUBJECT, [other, probe], end)
    assert (first.failure, second.failure) == ("", failure)


def test_files_that_were_not_looked_at_have_failed() -> None:
    """If the script that looks failed or was cut off, no file passed."""
    probes = [FileProbe(path="/a"), FileProbe(path="/b")]
    for end in (Ended("", "", LATE), Ended("file\x00644 root 0\x00\x00")):
        results = files(SUBJECT, probes, end)
        assert all(result.failure.startswith("was not checked: the script for files ") for result in results)


@pytest.mark.parametrize(
    ("keys", "status", "failure"),
    [
        ({}, 200, ""),
        ({}, 404, "answered /api with 404 instead of 200"),
        ({"status": 403}, 403, ""),
        ({"body_matches": '"version"'}, 200, ""),
        (
            {"body_matches": "lab"},
            200,
            "does not satisfy 'body_matches': 'lab' is not in what it answered /api with",
        ),
    ],
)
def test_a_server_has_to_answer_as_it_should(keys: dict[str, object], status: int, failure: str) -> None:
    """Status and text are both evaluated, and a wrong answer is kept."""
    probe = ServerProbe.model_validate({"command": ["serve"], "port": 80, "path": "/api", **keys})
    result = server(SUBJECT, probe, status, '{"version": "2"}')
    assert (result.failure, result.output) == (failure, '{"version": "2"}' if failure else "")


@pytest.mark.parametrize(
    ("stderr", "program"),
    [
        ('exec: "sh": executable file not found in $PATH', "sh"),
        ('exec: "sh": executable file not found in $PATH\n', "sh"),
        ("fork/exec /app/entrypoint.sh: no such file or directory", "/app/entrypoint.sh"),
        ("fork/exec /etc/passwd: permission denied", ""),
        ('it started\nexec: "sh": executable file not found in $PATH', ""),
        ("", ""),
    ],
)
def test_a_program_that_the_image_lacks_is_named(stderr: str, program: str) -> None:
    """Only where the engine prints nothing else: a program may print the same about another one."""
    assert missing_program(stderr) == program
