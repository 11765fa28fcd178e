"""Coverage is measured of the modules that need no engine, and has a floor."""

from pathlib import Path

import pytest

from tests.lint import coverage


def test_modules_that_import_the_engine_are_left_out(tmp_path: Path) -> None:
    """Wherever in the module they do; all others count, those in folders too."""
    for name, text in {
        "top.py": "import dagger\n",
        "inside.py": "def run():\n    from dagger.mod import Doc\n",
        "typed.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import dagger\n",
        "near.py": "import daggers\nfrom . import dagger\n",
        "folder/pure.py": "import json\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert coverage.find_modules(tmp_path) == [tmp_path / "folder/pure.py", tmp_path / "near.py"]


@pytest.mark.parametrize(("test", "code"), [("assert one() == 1", 0), ("assert one", 1), ("assert one() == 2", 1)])
def test_what_is_not_run_fails_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], test: str, code: int
) -> None:
    """And what was missed is named; a test that fails does so too."""
    (tmp_path / "pyproject.toml").write_text('[tool.coverage.run]\nsource = ["pipeline"]\nparallel = true\n')
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline/__init__.py").touch()
    (tmp_path / "pipeline/numbers.py").write_text("def one() -> int:\n    return 1\n")
    (tmp_path / "test_numbers.py").write_text(
        f"from pipeline.numbers import one\n\ndef test_it() -> None:\n    {test}\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    # These tests need none of pytest's plugins.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    assert coverage.main(["test_numbers.py"]) == code
    output = capfd.readouterr().out
    assert ("coverage: 50.0 % of 2 modules" in output, "1 failed" in output) == (test == "assert one", "== 2" in test)
    assert ("pipeline/numbers.py" in output) == (test == "assert one")
