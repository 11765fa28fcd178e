"""Check every shell script: files, and the texts that the code hands to a shell."""
# ruff: noqa: T201 -- a command line prints

import ast
import importlib
import itertools
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SHELLCHECK: Final = Path(sys.executable).with_name("shellcheck")
#: SC1091: what a script of an image sources is in the image, and not here.
_OPTIONS: Final = ("--norc", "--format=gcc", "--exclude=SC1091")
_SHEBANG: Final = re.compile(r"#!.*\b(?:ba|da)?sh\b")
_SHELLS: Final = ("sh", "bash")
#: The option of a shell after which its script is, alone or with others: -c, -euc.
_SCRIPT: Final = re.compile(r"-[a-z]*c")


@dataclass(frozen=True)
class Embedded:
    """A script that stands in a module of Python."""

    place: str
    text: str


def main() -> int:
    """Check what the repository in the current folder has, and return an exit code."""
    files, embedded = scripts(Path()), list(find_embedded(Path()))
    if not files or not embedded:
        print("shellcheck: no script was found, which cannot be", file=sys.stderr)
        return 1
    found = [*check_files(files), *(line for script in embedded for line in check_embedded(script))]
    print(*found, f"shellcheck: {len(files)} files and {len(embedded)} texts in Python", sep="\n")
    return 1 if found else 0


def scripts(root: Path) -> list[Path]:
    """The shell scripts of a repository, by their names or their first lines."""
    return [path for path in _files(root) if path.suffix == ".sh" or _SHEBANG.match(_first_line(path))]


def find_embedded(root: Path) -> Iterator[Embedded]:
    """The scripts in a repository's modules: what follows a shell and its -c in a list of words."""
    for path in _files(root):
        if path.suffix != ".py":
            continue
        for node in ast.walk(ast.parse((root / path).read_text(encoding="utf-8"))):
            if isinstance(node, ast.List | ast.Tuple):
                yield from _embedded(path, node.elts)
            elif isinstance(node, ast.Call):
                yield from _embedded(path, node.args)


def check_files(files: list[Path]) -> list[str]:
    """Findings of shellcheck in files; those whose first line names no shell are handed to `sh`."""
    named = [path for path in files if _SHEBANG.match(_first_line(path))]
    others = [path for path in files if path not in named]
    return [
        *(_shellcheck(*map(str, named)) if named else []),
        *(_shellcheck("--shell=sh", *map(str, others)) if others else []),
    ]


def check_embedded(script: Embedded) -> list[str]:
    """Its findings in a script of a module, each with the script's place."""
    return [line.replace("-:", f"{script.place}:", 1) for line in _shellcheck("-", text=script.text)]


def _embedded(path: Path, words: list[ast.expr]) -> Iterator[Embedded]:
    values = [word.value if isinstance(word, ast.Constant) else None for word in words]
    for place, (shell, option) in enumerate(itertools.pairwise(values)):
        if shell not in _SHELLS or not isinstance(option, str) or not _SCRIPT.fullmatch(option):
            continue
        script = words[place + 2] if place + 2 < len(words) else None
        if isinstance(script, ast.Constant) and isinstance(script.value, str):
            yield Embedded(f"{path}:{script.lineno}", _with_options(str(shell), option, script.value))
        elif isinstance(script, ast.Name) and script.id.isupper():
            # A constant of the module, which may be put together: what it is, its module knows.
            module = importlib.import_module(".".join(path.with_suffix("").parts))
            yield Embedded(f"{path} {script.id}", _with_options(str(shell), option, getattr(module, script.id)))


def _with_options(shell: str, option: str, text: str) -> str:
    """A script with its shell's options in its first line: -e ends it where a step fails, and excuses some of it."""
    options = "".join(letter for letter in option if letter in "efu")
    return f"#!/bin/{shell}{f' -{options}' if options else ''}" + ("" if text.startswith("\n") else "\n") + text


def _shellcheck(*arguments: str, text: str = "") -> list[str]:
    command = [str(SHELLCHECK), *_OPTIONS, *arguments]
    ended = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if ended.returncode > 1 or ended.stderr:
        raise RuntimeError(f"shellcheck ended with {ended.returncode}: {ended.stderr}")
    return ended.stdout.splitlines()


def _files(root: Path) -> list[Path]:
    """All files of a repository, those too that were not committed yet."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    return [Path(name) for name in sorted(set(listed.split("\0"))) if name and (root / name).is_file()]


def _first_line(path: Path) -> str:
    with path.open("rb") as file:
        return file.readline(128).decode("utf-8", "replace")


if __name__ == "__main__":
    sys.exit(main())
