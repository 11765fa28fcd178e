"""Give all modules of an environment byte code that depends on nothing but what their packages have.

Usage: compile.py. Runs in the Python that the modules are for, which knows where they are. The byte code is used
without a look at its source ("unchecked"), since all files get one time later. That which a package has is kept, where
Python would use it; the rest is compiled. What a process has compiled before shows in the bytes of what it compiles
next, so each folder is compiled by a process of its own: a copy of this one, which compiles nothing.

Any Python from 3.7 on runs it, since an environment may have one.
"""

# Python 3.8 cannot evaluate what says of which types things are.
from __future__ import annotations

import importlib.util
import os
import py_compile
import struct
import sys
import sysconfig
import warnings
from collections.abc import Iterable, Iterator

#: What the header of byte code says that is used without a look at its source.
UNCHECKED = 1


def folders() -> list[str]:
    """The folders of this Python's modules, each once: conda-forge's 3.12 has a link to its own, lib/python3.1."""
    top = f"{os.path.realpath(sys.prefix)}/"
    named = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    # A link may lead out of the environment, to what is not part of it.
    found = sorted({path for path in map(os.path.realpath, named) if path.startswith(top)})
    return [path for path in found if not path.startswith(tuple(f"{other}/" for other in found))]


def units(top: str) -> Iterator[list[str]]:
    """Modules that are compiled together: a folder's; in site-packages, where all packages meet, each is alone."""
    for folder, folders, files in os.walk(top):
        folders.sort()
        paths = [os.path.join(folder, file) for file in sorted(files) if file.endswith(".py")]  # noqa: PTH118
        # A link that leads nowhere is no module.
        modules = [path for path in paths if os.path.isfile(path)]  # noqa: PTH113
        if folder.endswith("/site-packages"):
            yield from ([module] for module in modules)
        elif modules:
            yield modules


def adopt(module: str) -> bool:
    """Keep the byte code that a module has, if it is of this Python and of this very source; only its header changes.

    What the header says (PEP 552): a number for the version of Python; 0 for byte code that is as good as its source is
    unchanged; the time and the bytes of the source.
    """
    file = importlib.util.cache_from_source(module)
    if os.path.islink(file):  # noqa: PTH114
        return False
    try:
        with open(file, "r+b") as code:  # noqa: PTH123
            source = os.stat(module)  # noqa: PTH116
            good = struct.pack("<III", 0, int(source.st_mtime) & 0xFFFFFFFF, source.st_size & 0xFFFFFFFF)
            if code.read(16) != importlib.util.MAGIC_NUMBER + good:
                return False
            with open(module, "rb") as text:  # noqa: PTH123
                checksum = importlib.util.source_hash(text.read())
            code.seek(len(importlib.util.MAGIC_NUMBER))
            code.write(struct.pack("<I", UNCHECKED) + checksum)
    except OSError:
        return False
    return True


def compile_modules(modules: Iterable[str]) -> None:
    """Compile modules; those with an error in their syntax (some are test data) stay without byte code."""
    for module in modules:
        code = importlib.util.cache_from_source(module)
        # Through a link, byte code of something else would be written over.
        if os.path.islink(code):  # noqa: PTH114
            os.unlink(code)  # noqa: PTH108
        try:
            py_compile.compile(module, doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
        except py_compile.PyCompileError:
            continue


def main(tops: Iterable[str], most: int) -> int:
    """Run as a command; see the module's docstring.

    Args:
        tops: folders, of which all that is below them is compiled.
        most: how many processes may run at once.
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
                # Nothing of this process is the child's to close.
                os._exit(code)
        running += 1
    for _ in range(running):
        failed += os.wait()[1] != 0
    if failed:
        print(f"the modules of {failed} folders could not be compiled", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(folders(), os.cpu_count() or 1))
