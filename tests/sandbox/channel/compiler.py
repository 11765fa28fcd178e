"""A C++ compiler as a conda package: Debian's g++ with its headers, in folders that need nothing of the system.

ROOT's interpreter asks `c++` where the headers are each time it starts, so an environment with ROOT needs one.
conda-forge's comes as a dozen packages; here it is one, `gxx_linux-64`, which has, below `x86_64-conda-linux-gnu/`:

- `toolchain/`: the programs, and what the compiler keeps for itself;
- `lib/`: the libraries that the programs load;
- `c++/`: the sysroot, with glibc and all headers. Of the folders that `c++ -v` names ROOT takes those with "++" in
  their path, and expects C's headers in /usr/include. By the sysroot's name it takes C's headers from here, too, but
  not the compiler's own in `toolchain/`, which would get in the way of its own.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.sandbox import cache
from tests.sandbox.channel import elf, package
from tests.sandbox.errors import SandboxError

#: Its compiler needs glibc 2.36, and what it compiles runs on every later Debian.
SUITE: Final = "bookworm"
TARGET: Final = "x86_64-conda-linux-gnu"
_DEBIAN_TARGET: Final = "x86_64-linux-gnu"
#: Programs by the names that people call, and Debian's name for each, without the version.
_DRIVERS: Final = {"c++": "g++", "g++": "g++", "cc": "gcc", "gcc": "gcc", "cpp": "cpp"}
_TOOLS: Final = ("ar", "as", "ld", "nm", "objdump", "ranlib", "strip")
#: What no compilation reads: documentation, sanitizers, link-time optimisation, character sets, profilers.
_LEFT_OUT: Final = re.compile(
    r"(dev|etc|tmp|var|usr/share|usr/lib/x86_64-linux-gnu/(gconv|audit|gprofng|perl-base|bfd-plugins|libgprofng.*))(/.*)?"
    r"|.*/(lib\w*san[._].*|lto1|[^/]*(lto-dump|gp-|gprof|gcov|gold|dwp)[^/]*)"
)
_WRAPPER: Final = f"""#!/bin/sh
# Debian's compiler, with everything that it reads, wherever the environment is.
bin=$(dirname -- "$(readlink -f -- "$0")")
target=${{bin%/*}}/{TARGET}
exec "$target/toolchain/usr/bin/@PROGRAM@" "--sysroot=$target/c++" "-B$target/toolchain/usr/bin" "$@"
"""


def make(channel: Path, *, say: Callable[[str], None] = print) -> None:
    """Write `gxx_linux-64` and the names that depend on it into a channel.

    Raises:
        SandboxError: mmdebstrap is missing, or failed.
    """
    with tempfile.TemporaryDirectory(dir=channel, prefix=".compiler-") as place:
        tree = Path(place) / "tree"
        sysroot = tree / TARGET / "c++"
        _extract(sysroot, cache.root() / "log" / "compiler.log")
        _relink(sysroot)
        toolchain = _take_toolchain(sysroot)
        version = max(path.name for path in (toolchain / "usr/lib/gcc" / _DEBIAN_TARGET).iterdir())
        _bring_libraries(toolchain, tree / TARGET / "lib")
        _write_wrappers(tree, version)
        say(f"extracted g++ {version}")
        about = package.About("GPL-3.0-only WITH GCC-exception-3.1", "GNU C++ compiler with its headers", "")
        package.write(channel, "gxx_linux-64", f"{version}.0", f"h{SUITE}_0", tree, about=about)
    exactly = [f"gxx_linux-64 {version}.*"]
    for name, depends in {
        "c-compiler": exactly,
        "cxx-compiler": ["c-compiler", *exactly],
        "compilers": ["c-compiler", "cxx-compiler"],
    }.items():
        package.write(channel, name, "1.11.0", "h0000000_0", {}, depends=depends)


def _extract(sysroot: Path, log: Path) -> None:
    """Unpack g++ and what it depends on; nothing is configured, so no program of it runs."""
    log.parent.mkdir(parents=True, exist_ok=True)
    sysroot.parent.mkdir(parents=True)
    whole = sysroot.with_name("whole")
    command = ["mmdebstrap", "--variant=extract", "--architectures=amd64", "--include=g++", SUITE, str(whole)]
    try:
        with log.open("w") as output:
            subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=True)
    except FileNotFoundError as error:
        raise SandboxError("mmdebstrap is missing: install the Debian package `mmdebstrap`.") from error
    except subprocess.CalledProcessError as error:
        last = "\n".join(log.read_text(errors="replace").splitlines()[-5:])
        raise SandboxError(
            f"mmdebstrap could not unpack g++ of {SUITE}; its output is in {log} and ends: {last}. "
            "Check that this machine reaches a Debian mirror, then try again."
        ) from error
    for path in sorted(whole.rglob("*")):
        name = path.relative_to(whole).as_posix()
        if _LEFT_OUT.fullmatch(name) or (path.is_dir() and not path.is_symlink()):
            continue
        target = sysroot / name
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    shutil.rmtree(whole)


def _relink(sysroot: Path) -> None:
    """Make links that start at the root relative, so that they stay inside the sysroot."""
    for link in (path for path in sorted(sysroot.rglob("*")) if path.is_symlink()):
        target = link.readlink()
        if target.is_absolute():
            link.unlink()
            link.symlink_to(os.path.relpath(sysroot / target.relative_to("/"), link.parent))
    for link in sorted(sysroot.rglob("*")):
        if link.is_symlink() and not link.exists():
            link.unlink()


def _take_toolchain(sysroot: Path) -> Path:
    """Move the programs out of the sysroot; links bring them what they look for beside themselves."""
    toolchain = sysroot.with_name("toolchain")
    (toolchain / "usr/lib").mkdir(parents=True)
    for name in ("usr/bin", "usr/lib/gcc"):
        (sysroot / name).rename(toolchain / name)
    for name in ("usr/include", f"usr/lib/{_DEBIAN_TARGET}"):
        link = toolchain / name
        link.symlink_to(os.path.relpath(sysroot / name, link.parent))
    return toolchain


def _bring_libraries(toolchain: Path, target: Path) -> None:
    """Copy what the programs load out of the sysroot: in there it would be found together with its glibc."""
    programs = list(elf.in_folder(toolchain))
    programs = [path for path in programs if path.stat().st_mode & 0o100 or ".so" in path.name]
    folders = [toolchain.with_name("c++") / name / _DEBIAN_TARGET for name in ("usr/lib", "lib")]
    target.mkdir()
    queue, done = list(programs), set[str]()
    while queue:
        for name in elf.needed_names(queue.pop()):
            if name in done or elf.GLIBC.fullmatch(name):
                continue
            done.add(name)
            place = next((folder / name for folder in folders if (folder / name).exists()), None)
            if place is None:
                raise SandboxError(f"{name}, which Debian's compiler loads, was not unpacked with g++ of {SUITE}.")
            shutil.copyfile(place, target / name)
            (target / name).chmod(0o755)
            queue.append(target / name)
    elf.set_run_path([*programs, *elf.in_folder(target)], target)


def _write_wrappers(tree: Path, version: str) -> None:
    (tree / "bin").mkdir()
    for name, program in _DRIVERS.items():
        text = _WRAPPER.replace("@PROGRAM@", f"{_DEBIAN_TARGET}-{program}-{version}")
        for wrapper in (tree / "bin" / name, tree / "bin" / f"{TARGET}-{name}"):
            wrapper.write_text(text)
            wrapper.chmod(0o755)
    for tool in _TOOLS:
        for name in (tool, f"{TARGET}-{tool}"):
            (tree / "bin" / name).symlink_to(f"../{TARGET}/toolchain/usr/bin/{_DEBIAN_TARGET}-{tool}")
