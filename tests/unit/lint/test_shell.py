"""Shell is checked wherever it stands."""

import subprocess
from pathlib import Path

import pytest

from tests.lint import shell

#: An unquoted variable breaks at the first blank.
FAULT = 'rm -r $1\ncd "$2"\n'


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty repository, which is the current folder."""
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_fault_in_a_file_is_found(repository: Path) -> None:
    """By the file's name or its first line, committed or not; other files are left alone."""
    (repository / "named.sh").write_text(FAULT)
    (repository / "first-line").write_text(f"#!/usr/bin/env bash\n{FAULT}")
    (repository / "other").write_text(FAULT)
    files = shell.scripts(repository)
    assert files == [Path("first-line"), Path("named.sh")]
    found = shell.check_files(files)
    assert [line.rpartition(" ")[2] for line in found] == ["[SC2086]", "[SC2164]"] * 2
    assert {line.partition(":")[0] for line in found} == {"first-line", "named.sh"}


def test_a_fault_in_a_text_is_found(repository: Path) -> None:
    """In a list of words or a call that runs a shell; with -e its steps may fail."""
    (repository / "module.py").write_text(
        f"RUN = ['sh', '-euc', {FAULT!r}, 'sh']\nrun('bash', '-c', 'echo \"$1\"')\nother = ['-c', {FAULT!r}]\n"
    )
    embedded = list(shell.find_embedded(repository))
    assert [script.place for script in embedded] == ["module.py:1", "module.py:2"]
    found = [shell.check_embedded(script) for script in embedded]
    assert found[0][0].startswith("module.py:1:2:7: note: Double quote ")
    assert [len(lines) for lines in found] == [1, 0]


def test_a_constant_of_a_module_is_found(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the module puts it together."""
    (repository / "put_together.py").write_text('_STEP = f"echo {1 + 1} $1"\nRUN = ["sh", "-c", _STEP]\n')
    monkeypatch.syspath_prepend(repository)
    (script,) = shell.find_embedded(repository)
    assert script == shell.Embedded("put_together.py _STEP", "#!/bin/sh\necho 2 $1")
    assert "[SC2086]" in shell.check_embedded(script)[0]


def test_a_fault_fails_the_check(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is named, and the exit code says so; and so it does where nothing was found to check."""
    assert shell.main() == 1
    (repository / "module.py").write_text("RUN = ['sh', '-c', 'true']\n")
    (repository / "script.sh").write_text("true\n")
    assert shell.main() == 0
    (repository / "script.sh").write_text(FAULT)
    assert shell.main() == 1
    assert "script.sh:1:7: note: " in capsys.readouterr().out
