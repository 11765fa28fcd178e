"""The program uv, run with the cache and the certificates that pixi gives it."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from . import logins
from .config import cache_folder
from .failures import PixiError
from .lock import indexes_of
from .workspace import Environment


def uv(arguments: list[str], folder: Path) -> str:
    """What uv prints.

    Raises:
        PixiError: it failed; or it needs git, and there is none.
    """
    program = shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"
    environment = {
        **os.environ,
        "UV_CACHE_DIR": str(cache_folder() / "uv-cache"),
        "UV_NO_CONFIG": "1",
        "UV_NATIVE_TLS": "1",
    }
    environment.pop("VIRTUAL_ENV", None)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:  # no disk gets a secret
        environment |= logins.environment(Path(memory))
        ended = subprocess.run(
            [program, *arguments], check=False, capture_output=True, text=True, cwd=folder, env=environment
        )
    if ended.returncode == 0:
        return ended.stdout
    raise PixiError(*(causes(ended.stderr) or [f"uv exited with {ended.returncode}"]))


def causes(output: str) -> list[str]:
    """The chain of causes in what uv printed, as pixi has it, which is uv itself."""
    found: list[str] = []
    for line in output.splitlines():
        if match := re.match(r"\s*(?:×|├─▶|╰─▶|error:|[Cc]ause:|Caused by:)\s*(.*)$", line):
            found.append(match[1].strip())
        elif found and line.strip() and not line.lstrip().startswith("help:"):
            found[-1] += f"\n{line.strip(' │')}"
    if found and found[0].startswith("No solution found"):
        found[0] = "failed to resolve pypi dependencies"
    return found


def index_options(environment: Environment) -> list[str]:
    """The options of uv that say where packages are."""
    options, (first, *others) = environment.options, indexes_of(environment)
    found = [f"--index-url={first}"] if "index-url" in options else []
    found += [f"--extra-index-url={index}" for index in others]
    for place in options.get("find-links", []):
        found.append(
            f"--find-links={place['url'] if 'url' in place else (environment.workspace.root / place['path']).resolve()}"
        )
    if options.get("no-build") is True:
        found.append("--no-build")
    return found


def write_lines(path: Path, lines: Iterable[str]) -> Path:
    """Write a file, and return its path."""
    path.write_text("".join(f"{line}\n" for line in lines))
    return path
