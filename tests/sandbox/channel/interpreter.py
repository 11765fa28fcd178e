"""Python 3.12 from the interpreter at hand, made so that it runs from any folder of any Linux that is as new."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from tests.sandbox import cache
from tests.sandbox.channel import bytecode, elf
from tests.sandbox.errors import SandboxError

#: The minor version that everything in the channel is for.
MINOR: Final = "3.12"
#: Where the standard library is, below the prefix.
STDLIB: Final = f"lib/python{MINOR}"
_PROGRAM: Final = f"bin/python{MINOR}"
#: Libraries of the machine that the standard library's modules load. Not in lib/, where a base image's ldconfig would
#: offer them to the system's own programs.
_LIBRARIES: Final = f"{STDLIB}/python.libs"
_SKIPPED_FOLDERS: Final = frozenset(
    {"__pycache__", "idlelib", "lib2to3", "site-packages", "test", "tests", "tkinter", "turtledemo"}
)
#: Modules that are for CPython's own tests, or that load what no container has: X11, Kerberos for NIS.
_SKIPPED_MODULES: Final = re.compile(r"(_test.*|_xxtestfuzz|_ctypes_test|xx.*|_tkinter|nis)\..*so")
_DESCRIBE: Final = """
import json, platform, sys, sysconfig
print(json.dumps([platform.python_implementation(), sys.version_info[:2], sys.base_prefix,
                  sysconfig.get_path("stdlib"), platform.python_version()]))
"""


def find_python() -> Path:
    """The program of a CPython 3.12 that can be packed: its `bin/python3.12`, with `lib/python3.12` beside `bin`.

    Raises:
        SandboxError: there is none on this machine.
    """
    for candidate in _candidates():
        if _describe(candidate) is not None:
            return candidate
    raise SandboxError(
        f"No CPython {MINOR} that can be packed was found (looked at the running interpreter, PATH, pyenv, uv and "
        f"setup-python): install one, for example with `pyenv install {MINOR}` or `uv python install {MINOR}`."
    )


def python_version(program: Path) -> str:
    """The full version of an interpreter that `find_python` gave, such as "3.12.7"."""
    described = _describe(program)
    if described is None:
        raise SandboxError(f"{program} is no CPython {MINOR} any more: install one and try again.")
    return described


def python_tree(prefix: str = "/usr/local", *, say: Callable[[str], None] = print) -> Path:
    """A folder with `bin/`, `lib/` and `include/` of Python 3.12 with its standard library and nothing else.

    It runs wherever it is copied to: it finds its libraries relative to itself. Byte code is there, and is never
    compared with its source's time, so that it stays good however the files are copied. The folder is the cache's:
    copy it, do not write into it.

    Args:
        prefix: what the few files that name their place (sysconfig's data, scripts) say that it is.
        say: told what is being made.
    """
    program = find_python()

    def make(folder: Path) -> None:
        copy_tree(program, folder, prefix)
        bytecode.compile_modules(program, folder, folder, unchecked=True)

    return cache.ensure("python-tree", [*inputs(program), prefix], make, say=say)


def inputs(program: Path) -> list[str | Path]:
    """What a packed interpreter depends on, for the cache's key."""
    libraries = sorted((program.parent.parent / "lib").glob("libpython*.so*"))
    return [
        python_version(program),
        str(program),
        program,
        *libraries,
        *map(Path, (__file__, elf.__file__, bytecode.__file__)),
    ]


def copy_tree(program: Path, folder: Path, prefix: str) -> None:
    """Copy an interpreter and its standard library into a folder, and the libraries of this machine they need."""
    source = program.parent.parent
    for path in _files(source):
        target = folder / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target, follow_symlinks=False)
    (folder / STDLIB / "site-packages").mkdir(exist_ok=True)
    for name in ("python", "python3"):
        (folder / "bin" / name).unlink(missing_ok=True)
        (folder / "bin" / name).symlink_to(f"python{MINOR}")
    _replace_prefix(folder, str(source), prefix)
    _bring_libraries(source, folder)


def _candidates() -> Iterator[Path]:
    if sys.version_info[:2] == (3, 12):
        yield Path(sys.base_prefix) / _PROGRAM
    for folder in os.get_exec_path():
        if (Path(folder) / f"python{MINOR}").exists():
            yield (Path(folder) / f"python{MINOR}").resolve()
    home, environment = Path.home(), os.environ
    places = {
        Path(environment.get("PYENV_ROOT") or home / ".pyenv") / "versions": f"{MINOR}.*",
        Path(environment.get("UV_PYTHON_INSTALL_DIR") or home / ".local/share/uv/python"): f"cpython-{MINOR}*",
        Path(environment.get("RUNNER_TOOL_CACHE") or "/opt/hostedtoolcache") / "Python": f"{MINOR}.*/x64",
    }
    for place, pattern in places.items():
        yield from (found / _PROGRAM for found in sorted(place.glob(pattern), reverse=True))


def _describe(program: Path) -> str | None:
    """The full version of an interpreter, or None where it is not one that can be packed.

    Debian's own is not: it is patched to look into other folders than its prefix's site-packages.
    """
    try:
        command = [str(program), "-I", "-S", "-c", _DESCRIBE]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        implementation, minor, prefix, stdlib, version = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    usual = Path(prefix) / _PROGRAM == program and Path(stdlib) == Path(prefix) / STDLIB
    own = not (Path(stdlib) / "_sysconfigdata__x86_64-linux-gnu.py").exists() and prefix != "/usr"
    return str(version) if implementation == "CPython" and minor == [3, 12] and usual and own else None


def _files(source: Path) -> Iterator[Path]:
    yield source / _PROGRAM
    yield from sorted(source.glob(f"{_PROGRAM}-config"))
    yield from sorted((source / "lib").glob("libpython3*.so*"))
    for top in (source / STDLIB, source / f"include/python{MINOR}"):
        for folder, subfolders, names in os.walk(top):
            subfolders[:] = sorted(set(subfolders) - _SKIPPED_FOLDERS)
            for name in sorted(names):
                if not _SKIPPED_MODULES.fullmatch(name) and not name.endswith((".a", ".o")):
                    yield Path(folder) / name


def _replace_prefix(folder: Path, old: str, new: str) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        content = path.read_bytes()
        if old.encode() in content and b"\0" not in content:
            path.write_bytes(content.replace(old.encode(), new.encode()))


def _bring_libraries(source: Path, folder: Path) -> None:
    target = folder / _LIBRARIES
    target.mkdir()
    own: list[Path] = []
    modules: list[Path] = []
    for binary in elf.in_folder(folder):
        (modules if binary.is_relative_to(folder / STDLIB) else own).append(binary)
        original = source / binary.relative_to(folder)
        for name, place in elf.needed_libraries(original).items():
            if not name.startswith("libpython"):
                shutil.copyfile(place, target / name)
    libraries = list(elf.in_folder(target))
    for library in libraries:
        library.chmod(0o755)
    elf.set_run_path(own, folder / "lib")
    elf.set_run_path([*modules, *libraries], target)
