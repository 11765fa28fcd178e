"""Decisions of ``./dev`` before it becomes another program."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.sandbox import __main__ as command_line
from tests.sandbox import commands, contents, programs


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        ([], True),
        (["-x"], True),
        (["-k", "publish"], True),
        (["tests"], True),
        (["tests/engine"], True),
        (["tests/unit"], False),
        (["tests/browser", "tests/unit"], False),
        (["tests/unit/sandbox/test_cache.py::test_a_part_is_made_once", "-x"], False),
        (["-m", "not engine"], False),
        (["tests/unit", "tests/engine"], True),
    ],
)
def test_unit_tests_need_no_sandbox(arguments: list[str], needed: bool) -> None:  # noqa: FBT001 -- a table
    """Only when nothing but tests without an engine is asked for, nothing is started."""
    assert commands.needs_sandbox(arguments) is needed


@pytest.mark.parametrize(
    ("arguments", "spread"),
    [
        ([], True),
        (["tests/unit", "-x"], True),
        (["-k", "publish"], True),
        (["tests/unit/sandbox/test_cache.py"], False),
        (["tests/unit", "tests/unit/sandbox/test_cache.py::test_a_part_is_made_once"], False),
    ],
)
def test_folders_are_spread_over_processes(arguments: list[str], spread: bool) -> None:  # noqa: FBT001 -- a table
    """Single files are not: they end sooner in one process, and a debugger works there."""
    assert (commands.spread(arguments) != []) is spread


def test_files_are_replaced_where_the_checkout_has_them(tmp_path: Path) -> None:
    """The command keeps its arguments, and runs in a mount namespace only when there is something to replace."""
    (tmp_path / "image").mkdir()
    (tmp_path / "image" / "pixi.toml").touch()
    instead = {Path("image/pixi.toml"): Path("/sandbox/pixi.toml"), Path("image/pixi.lock"): Path("/sandbox/lock")}
    command = commands.with_overlay(["dagger", "call", "a b"], instead, tmp_path)
    assert command[0] == "unshare"
    assert command[-6:] == ["/sandbox/pixi.toml", str(tmp_path / "image/pixi.toml"), "--", "dagger", "call", "a b"]
    assert commands.with_overlay(["dagger"], {}, tmp_path) == ["dagger"]


def test_workflows_are_linted_where_there_are_any(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both checkers get each file; without workflows nothing is compiled for them."""
    monkeypatch.setattr(programs, "program", lambda name, say: tmp_path / name)  # noqa: ARG005
    assert commands.workflow_checks(tmp_path / "none") == {}
    workflows = [str(tmp_path / name) for name in ("images.yml", "locks.yaml")]
    for workflow in workflows:
        Path(workflow).touch()
    (tmp_path / "README.md").touch()
    checks = commands.workflow_checks(tmp_path)
    assert list(checks) == ["zizmor", "actionlint"]
    assert all(command[-2:] == workflows for command in checks.values())


@pytest.mark.parametrize(
    ("arguments", "run"),
    [
        ([], ["first", "second", "coverage"]),
        (["--quick"], ["first", "second"]),
        (["second"], ["second"]),
        (["coverage", "--quick"], ["coverage"]),
    ],
)
def test_checks_are_chosen(monkeypatch: pytest.MonkeyPatch, arguments: list[str], run: list[str]) -> None:
    """All of them, those that are quick, or those that are named; one that finds something fails them all."""
    known = {name: ["sh", "-c", f"exit {int(name == 'second')}"] for name in ("first", "second", "coverage")}
    passed = []
    passes = commands._passes  # noqa: SLF001 -- to see what is run

    def note(name: str, command: list[str]) -> bool:
        passed.append(name)
        return passes(name, command)

    monkeypatch.setattr(commands, "checks", lambda: known)
    monkeypatch.setattr(commands, "_passes", note)
    assert command_line.main(["lint", *arguments]) == int("second" in run)
    assert passed == run


def test_an_unknown_check_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With the names of those that there are."""
    monkeypatch.setattr(commands, "checks", lambda: {"mypy": ["false"]})
    assert command_line.main(["lint", "mypi"]) == 1
    assert "There is no check mypi; there are: mypy." in capsys.readouterr().err


def test_a_failed_command_does_not_end_the_process_that_called_it() -> None:
    """Threads of somebody else run in a worker of pytest: it once was gone, with all its tests."""
    held = threading.Event()
    thread = threading.Thread(target=held.wait)
    thread.start()
    try:
        assert command_line.main(["lint", "nothing-of-the-kind"]) == 1
    finally:
        held.set()
        thread.join()


def test_the_program_does_not_wait_for_its_threads_when_it_failed() -> None:
    """A download that hangs in another thread does not keep an error back."""
    script = (
        "import threading, time; from tests.sandbox import __main__ as cli; "
        "threading.Thread(target=time.sleep, args=[60]).start(); cli.leave(3)"
    )
    assert (
        subprocess.run([sys.executable, "-c", script], check=False, cwd=commands.CHECKOUT, timeout=50).returncode == 3
    )


@pytest.mark.parametrize(
    ("manifest", "version"),
    [
        ({}, "12.8"),
        ({"system-requirements": {"cuda": "13"}}, "13"),
        ({"feature": {"ml": {"system-requirements": {"cuda": "12.10"}}}}, "12.10"),
        ({"feature": {"ml": {"dependencies": {}}}}, "12.8"),
    ],
)
def test_the_highest_cuda_of_a_manifest_is_used(manifest: dict[str, object], version: str) -> None:
    """Versions are compared as numbers."""
    assert contents.cuda_version(manifest) == version


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """And so does a call without any argument."""
    assert command_line.main(["--help"]) == 0
    text = capsys.readouterr().out
    for command in (
        "up",
        "down",
        "status",
        "stop",
        "env",
        "call",
        "functions",
        "dagger",
        "exec",
        "test",
        "lint",
        "relock",
    ):
        assert f"\n  {command} " in text
    assert command_line.main([]) == 0


def test_an_unknown_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """With the code that command lines use for it."""
    assert command_line.main(["upp"]) == 2
    assert "There is no command upp; ./dev --help lists" in capsys.readouterr().err


def test_the_script_is_posix_shell() -> None:
    """The shell reads it whole without a complaint."""
    subprocess.run(["sh", "-n", str(commands.CHECKOUT / "dev")], check=True)
