"""A current pixi for images: the stand-in with all that it runs on, or the real one where somebody has it."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.sandbox import cache, oci, pixi_stand_in, tools
from tests.sandbox.errors import SandboxError

#: The variable with the path of a real pixi, to be taken instead of the stand-in.
REAL: Final = "SANDBOX_PIXI"
VERSION: Final = pixi_stand_in.VERSION
SOURCE: Final = Path(pixi_stand_in.__file__).parent
REQUIREMENTS: Final = SOURCE / "requirements.lock"
#: Where the stand-in has its own Python: nowhere on PATH, since images of pixi have none.
HOME: Final = "opt/stand-in/python"
BYTECODE: Final = Path(__file__).with_name("channel") / "bytecode.py"
PROGRAM: Final = "usr/local/bin/pixi"
SCRIPT: Final = f'#!/bin/sh\nexec /{HOME}/bin/python3 -I -m pixi_stand_in "$@"\n'
#: pixi's own list of authorities has not the sandbox's.
CONFIGURATION: Final = 'tls-root-certs = "system"\n'


def real() -> Path | None:
    """The real pixi that was named, if one was.

    Raises:
        SandboxError: there is no such program.
    """
    named = os.environ.get(REAL)
    if not named:
        return None
    if not os.access(named, os.X_OK) or Path(named).is_dir():
        raise SandboxError(f"{REAL} is {named}, which is no program; name a pixi {VERSION}, or unset it.")
    return Path(named)


def identity() -> str:
    """What images with a current pixi are made from, in short."""
    program = real()
    return cache.digest(program) if program else "stand-in"


def layer(tree: Path, say: Callable[[str], None]) -> Path:
    """The compressed layer with a current pixi and its configuration.

    Args:
        tree: a relocatable CPython 3.12, a folder with ``bin/`` and ``lib/``.
        say: told what is being made.

    Raises:
        SandboxError: the packages of the stand-in cannot be installed, or there is no real pixi where one was named.
    """
    program = real()

    def make(part: Path) -> None:
        work = part / "work"
        work.mkdir()
        (work / "config.toml").write_text(CONFIGURATION)
        content: dict[str, Path | None] = {"etc/pixi/config.toml": work / "config.toml"}
        if program is None:
            (work / "pixi").write_text(SCRIPT)
            (work / "pixi").chmod(0o755)
            content |= {HOME: _stand_in(tree, work, packages(say)), PROGRAM: work / "pixi"}
        else:
            content[PROGRAM] = program
        oci.pack(part / "layer.tar.gz", content)
        shutil.rmtree(work)

    inputs: list[str | Path] = [SOURCE, Path(__file__), Path(oci.__file__), BYTECODE, tree, CONFIGURATION, identity()]
    return cache.ensure("current-pixi", inputs, make, say=say) / "layer.tar.gz"


def packages(say: Callable[[str], None]) -> Path:
    """What the stand-in is made with, as it is installed: kept apart, since the stand-in changes more often.

    Raises:
        SandboxError: it cannot be installed.
    """

    def make(part: Path) -> None:
        log = cache.root() / "sandbox" / "log" / "make-current-pixi.log"
        log.unlink(missing_ok=True)
        install = ["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile"]
        hashed = ["--require-hashes", "--only-binary=:all:", f"--target={part}", f"--requirement={REQUIREMENTS}"]
        tools.run([sys.executable, "-m", "pip", *install, *hashed], log, "The Python package index")

    return cache.ensure("current-pixi-packages", [sys.version, REQUIREMENTS], make, say=say)


def _stand_in(tree: Path, work: Path, installed: Path) -> Path:
    """The Python that runs the stand-in, with it and its packages."""
    from tests.sandbox.channel import bytecode  # noqa: PLC0415 -- slow, and not needed when all is made

    python = work / "python"
    shutil.copytree(tree, python, symlinks=True)
    site = python / "lib/python3.12/site-packages"
    shutil.copytree(installed, site, dirs_exist_ok=True)
    (site / "bin" / "uv").rename(python / "bin" / "uv")
    own = site / "pixi_stand_in"
    own.mkdir()
    for module in sorted(SOURCE.glob("*.py")):
        shutil.copy(module, own)
    bytecode.compile_modules(python / "bin" / "python3.12", python, site, unchecked=True)
    return python
