"""Compile the modules below folders into byte code that depends on nothing but their source.

Usage: compile.py FOLDER… Runs in the Python that the modules are for. The byte code is used without a look at its
source ("unchecked"), since all files get one time later. What a process has compiled before shows in the bytes of
what it compiles next, so each folder is compiled by a process of its own: a copy of this one, which compiles nothing.
"""

import os
import py_compile
import sys
import warnings
from collections.abc import Iterable, Iterator


def units(top: str) -> Iterator[list[str]]:
    """Modules that are compiled together: a folder's; in site-packages, where all packages meet, each is alone."""
    for folder, folders, files in os.walk(top):
        folders.sort()
        modules = [os.path.join(folder, file) for file in sorted(files) if file.endswith(".py")]  # noqa: PTH118
        if folder.endswith("/site-packages"):
            yield from ([module] for module in modules)
        elif modules:
            yield modules


def compile_modules(modules: Iterable[str]) -> None:
    """Compile modules; those with an error in their syntax (some are test data) stay without byte code."""
    for module in modules:
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
    for modules in (unit for top in tops for unit in units(top)):
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
    sys.exit(main(sys.argv[1:], os.cpu_count() or 1))
