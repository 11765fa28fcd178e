"""Byte code that depends on nothing but its source."""

import ast
import importlib.util
import marshal
import os
import struct
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from pipeline.scripts import compile as compiling

ROOT = Path(__file__).parents[3]


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


def test_old_pythons_can_run_it() -> None:
    """An environment with Python 3.7 or 3.8 is compiled by that: newer syntax would end its build."""
    tree = ast.parse(Path(compiling.__file__).read_text(encoding="utf-8"), feature_version=(3, 7))
    imports = [node.module for node in tree.body if isinstance(node, ast.ImportFrom)]
    # No annotation is evaluated.
    assert imports[0] == "__future__"
    assert not [node for node in ast.walk(tree) if isinstance(node, (ast.NamedExpr, ast.Match))]


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


@pytest.mark.parametrize("optimized", ["", "1"])
def test_byte_code_of_a_package_is_kept(tmp_path: Path, optimized: str) -> None:
    """An image gets a package's own byte code, but for the header; other byte code is made again."""
    module = tmp_path / "a.py"
    module.write_text("A = 1\n")
    theirs = marshal.dumps(compile("A = 'made by the package'", "a.py", "exec"))
    code = Path(importlib.util.cache_from_source(str(module), optimization=optimized))
    code.parent.mkdir()
    found = module.stat()
    code.write_bytes(importlib.util.MAGIC_NUMBER + struct.pack("<III", 0, int(found.st_mtime), found.st_size) + theirs)
    assert compile_below(tmp_path, 1).returncode == 0
    made = Path(importlib.util.cache_from_source(str(module))).read_bytes()
    assert made[4:16] == b"\x01\0\0\0" + importlib.util.source_hash(b"A = 1\n")
    assert (made[16:] == theirs) == (not optimized)


@pytest.mark.parametrize("wrong", ["version", "kind", "time", "size"])
def test_byte_code_that_python_would_not_use_is_made_anew(tmp_path: Path, wrong: str) -> None:
    """Code of another Python or of another source is no code of this module."""
    module = tmp_path / "a.py"
    module.write_text("A = 1\n")
    os.utime(module, (1_700_000_000, 1_700_000_000))
    header = {"version": importlib.util.MAGIC_NUMBER, "kind": 0, "time": 1_700_000_000, "size": 6}
    header[wrong] = b"\0\0\r\n" if wrong == "version" else 3
    code = Path(importlib.util.cache_from_source(str(module)))
    code.parent.mkdir()
    code.write_bytes(struct.pack("<4sIII", *header.values()) + b"code of something else")
    assert compile_below(tmp_path, 1).returncode == 0
    assert b"something else" not in code.read_bytes()


def test_modules_of_all_packages_are_compiled_one_by_one(tmp_path: Path) -> None:
    """Folders are compiled as wholes; in site-packages, a module of another package must not show in the bytes."""
    write(tmp_path)
    names = [[Path(module).name for module in unit] for unit in compiling.units(str(tmp_path))]
    assert names == [["a.py"], ["b.py", "wrong.py"], ["c.py"], ["d.py"]]


def test_each_module_is_compiled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever links lead to Python's folders, as lib/python3.1 of conda-forge's Python 3.12 does."""
    stdlib = write(tmp_path / "lib/python3.12")[0].parent
    write(tmp_path / "share/site")
    (stdlib / "site").symlink_to("../../share/site")
    (tmp_path / "lib/python3.1").symlink_to("python3.12")
    (tmp_path / "lib64").symlink_to("lib")
    places = {
        "stdlib": stdlib,
        "platstdlib": tmp_path / "lib64/python3.12",
        "purelib": tmp_path / "lib/python3.1/site-packages",
        "platlib": stdlib / "site",
    }
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(places[name]))
    found = [
        os.path.realpath(module) for top in compiling.folders() for unit in compiling.units(top) for module in unit
    ]
    assert sorted(found) == sorted(str(path) for path in tmp_path.rglob("*.py"))


def test_a_link_that_leads_nowhere_is_no_module(tmp_path: Path) -> None:
    """A package may have a link to what only its authors have."""
    (tmp_path / "a.py").write_text("A = 1\n")
    (tmp_path / "gone.py").symlink_to("/nowhere/gone.py")
    ended = compile_below(tmp_path, 1)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert [path.name for path in tmp_path.rglob("*.pyc")] == [Path(importlib.util.cache_from_source("a.py")).name]


@pytest.mark.parametrize("good", [True, False])
def test_byte_code_behind_a_link_is_left(tmp_path: Path, *, good: bool) -> None:
    """A package may have its byte code as a link: the module gets its own, and what the link led to stays as it was."""
    module, other = tmp_path / "a.py", tmp_path / "other"
    module.write_text("A = 1\n")
    found = module.stat()
    header = importlib.util.MAGIC_NUMBER + struct.pack("<III", 0, int(found.st_mtime), found.st_size)
    data = (header if good else b"") + marshal.dumps(compile("A = 'other'", "a.py", "exec"))
    other.write_bytes(data)
    code = Path(importlib.util.cache_from_source(str(module)))
    code.parent.mkdir()
    code.symlink_to(other)
    assert compile_below(tmp_path, 1).returncode == 0
    assert other.read_bytes() == data
    assert not code.is_symlink()
    assert code.read_bytes()[4:8] == b"\x01\0\0\0"


def test_no_module_outside_of_the_environment_is_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """site-packages may be a link to a folder of the base image."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "env"))
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path / "env-2/site-packages"))
    assert compiling.folders() == []


def test_a_folder_that_fails_is_told(tmp_path: Path) -> None:
    """A place that cannot be written to ends the compilation with a failure, not without byte code."""
    (tmp_path / "a.py").write_text("A = 1\n")
    (tmp_path / "__pycache__").write_text("a file where the folder should be\n")
    ended = compile_below(tmp_path, 1)
    assert (ended.returncode, ended.stderr) == (1, "the modules of 1 folders could not be compiled\n")
