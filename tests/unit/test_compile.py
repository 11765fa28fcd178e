"""Byte code that depends on nothing but its source."""

import importlib.util
import subprocess
import sys
from pathlib import Path

from pipeline.scripts import compile as compiling

ROOT = Path(__file__).parents[2]


def write(folder: Path) -> list[Path]:
    """Modules in folders, one of which cannot be compiled."""
    files = {"a.py": "A = ('x', 1)\n", "pkg/b.py": "def b(): return {'x', 'y'}\n", "pkg/wrong.py": "def\n"}
    files |= {"site-packages/c.py": "C = 1\n", "site-packages/d.py": "D = 2\n"}
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return [folder / name for name in files if "wrong" not in name]


def compile_below(folder: Path, most: int) -> subprocess.CompletedProcess[str]:
    """Run it in a process of its own, as in a build: it forks, and waits for all children that its process has."""
    command = "import sys; from pipeline.scripts.compile import main; sys.exit(main(sys.argv[2:], int(sys.argv[1])))"
    return subprocess.run(
        [sys.executable, "-c", command, str(most), str(folder)], capture_output=True, text=True, check=False, cwd=ROOT
    )


def test_modules_are_compiled_whatever_runs_at_once(tmp_path: Path) -> None:
    """One process or several: the same byte code, used without a look at its source; a broken module has none."""
    found = []
    for most in (1, 3):
        modules = write(tmp_path)
        assert compile_below(tmp_path, most).returncode == 0
        code = {module: Path(importlib.util.cache_from_source(str(module))) for module in modules}
        found.append({module: file.read_bytes() for module, file in code.items()})
        for file in code.values():
            file.unlink()
    assert found[0] == found[1]
    # PEP 552: hash-based, and the source is not checked.
    assert {data[4:8] for data in found[0].values()} == {b"\x01\0\0\0"}
    assert not list(tmp_path.rglob("wrong*.pyc"))


def test_modules_of_all_packages_are_compiled_one_by_one(tmp_path: Path) -> None:
    """Folders are compiled as wholes; in site-packages, a module of another package must not show in the bytes."""
    write(tmp_path)
    names = [[Path(module).name for module in unit] for unit in compiling.units(str(tmp_path))]
    assert names == [["a.py"], ["b.py", "wrong.py"], ["c.py"], ["d.py"]]


def test_a_folder_that_fails_is_told(tmp_path: Path) -> None:
    """A place that cannot be written to ends the compilation with a failure, not without byte code."""
    (tmp_path / "a.py").write_text("A = 1\n")
    (tmp_path / "__pycache__").write_text("a file where the folder should be\n")
    ended = compile_below(tmp_path, 1)
    assert (ended.returncode, ended.stderr) == (1, "the modules of 1 folders could not be compiled\n")
