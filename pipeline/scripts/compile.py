"""Give all modules of an environment reproducible byte code.

Usage: compile.py. Runs in the environment's own Python, which knows the folders of the modules. The byte code is
"unchecked": Python uses it without a check of its source, since all files get one time later. Byte code from a package
is kept where Python would use it; the rest is compiled. The output of the compiler depends on what its process compiled
before, so a process of its own compiles each folder: a fork of this one, which compiles nothing.

Runs in any Python from 3.7 on, since an environment may have an old one.
"""

# Python 3.8 cannot evaluate these annotations.
from __future__ import annotations

import importlib.util
import os
import py_compile
import struct
import sys
import sysconfig
import warnings
from collections.abc import Iterable, Iterator

#: Flag in the header of byte code that Python uses without a check of its source.
UNCHECKED = 1


def folders() -> list[str]:
    """Return the folders of this Python's modules, each once: conda-forge's 3.12 has a link to one, lib/python3.1."""
    top = f"{os.path.realpath(sys.prefix)}/"
    named = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    # A link may lead out of the environment, to files that are not part of it.
    inside = sorted({path for path in map(os.path.realpath, named) if path.startswith(top)})
    return [path for path in inside if not path.startswith(tuple(f"{other}/" for other in inside))]


def units(top: str) -> Iterator[list[str]]:
    """Yield modules to compile together: those of a folder; in site-packages, which packages share, each alone."""
    for folder, folders, files in os.walk(top):
        folders.sort()
        paths = [os.path.join(folder, file) for file in sorted(files) if file.endswith(".py")]  # noqa: PTH118
        # A broken link is no module.
        modules = [path for path in paths if os.path.isfile(path)]  # noqa: PTH113
        if folder.endswith("/site-packages"):
            yield from ([module] for module in modules)
        elif modules:
            yield modules


def adopt(module: str) -> bool:
    """Keep a module's byte code if it matches this Python and its source; change its header to unchecked.

    The header (PEP 552) has a number for the version of Python, the flag 0 for byte code that is checked by time and
    size, and the time and size of the source.
    """
    file = importlib.util.cache_from_source(module)
    if os.path.islink(file):  # noqa: PTH114
        return False
    try:
        with open(file, "r+b") as code:  # noqa: PTH123
            source = os.stat(module)  # noqa: PTH116
            fresh = struct.pack("<III", 0, int(source.st_mtime) & 0xFFFFFFFF, source.st_size & 0xFFFFFFFF)
            if code.read(16) != importlib.util.MAGIC_NUMBER + fresh:
                return False
            with open(module, "rb") as text:  # noqa: PTH123
                checksum = importlib.util.source_hash(text.read())
            code.seek(len(importlib.util.MAGIC_NUMBER))
            code.write(struct.pack("<I", UNCHECKED) + checksum)
    except OSError:
        return False
    return True


def compile_modules(modules: Iterable[str]) -> None:
    """Compile modules; those with a syntax error (some are test data) get no byte code."""
    for module in modules:
        code = importlib.util.cache_from_source(module)
        # Through a link, the compiler would overwrite other byte code.
        if os.path.islink(code):  # noqa: PTH114
            os.unlink(code)  # noqa: PTH108
        try:
            py_compile.compile(module, doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
        except py_compile.PyCompileError:
            continue


def main(tops: Iterable[str], most: int) -> int:
    """Run as a command; see the module's docstring.

    Args:
        tops: folders whose modules are compiled, at any depth.
        most: number of processes at once.
    """
    warnings.simplefilter("ignore")
    running = failed = 0
    for unit in (unit for top in tops for unit in units(top)):
        modules = [module for module in unit if not adopt(module)]
        if not modules:
            continue
        if running == most:
            failed += os.wait()[1] != 0
            running -= 1
        if os.fork() == 0:
            code = 1
            try:
                compile_modules(modules)
                code = 0
            finally:
                # Without cleanup: open files belong to the parent.
                os._exit(code)
        running += 1
    for _ in range(running):
        failed += os.wait()[1] != 0
    if failed:
        print(f"the modules of {failed} folders could not be compiled", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(folders(), os.cpu_count() or 1))
