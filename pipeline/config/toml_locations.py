"""Lines of keys in TOML files, so that an error names the line to change."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli

from pipeline.errors import PipelineError

#: Path of a key: names of tables and keys, indexes of array elements.
Keys = tuple[str | int, ...]


def line_of(text: str, keys: Keys) -> int | None:
    """Return the line on which the statement that sets a key starts, counted from 1.

    Wherever the beginning of the text parses as TOML, a statement has ended. So lines are added one at a time, and the
    statement after which the key exists is the one that sets it. This covers every notation of TOML for a key.

    Args:
        text: valid TOML.
        keys: path of the key; if the key is missing, its nearest existing parent is looked up instead.

    Returns:
        The line number; None if not even the first part of the path exists.
    """
    while keys and not _has(tomli.loads(text), keys):
        keys = keys[:-1]
    if not keys:
        return None
    lines = text.splitlines(keepends=True)
    start = 0
    for number in range(1, len(lines) + 1):
        try:
            values = tomli.loads("".join(lines[:number]))
        except tomli.TOMLDecodeError:
            # In the middle of a statement.
            continue
        if _has(values, keys):
            return _skip_blank(lines, start) + 1
        start = number
    return None


def first_line_of(text: str, paths: Sequence[Keys]) -> int | None:
    """Return the line of the first of several keys that exists; None if none does."""
    values = tomli.loads(text)
    return next((line_of(text, keys) for keys in paths if _has(values, keys)), None)


def line_with(text: str, words: str) -> int | None:
    """Return the number of the first line that contains the words; None if none does."""
    return next((number for number, line in enumerate(text.splitlines(), 1) if words in line), None)


def format_location(name: str, line: int | None) -> str:
    """Format a file and line as compilers do, which terminals and editors can open."""
    return f"{name}:{line}" if line else name


def _has(values: Any, keys: Keys) -> bool:  # noqa: ANN401  # whatever TOML can hold
    for key in keys:
        if isinstance(values, Mapping) and key in values:
            values = values[str(key)]
        elif isinstance(values, list) and isinstance(key, int) and key < len(values):
            values = values[key]
        else:
            return False
    return True


def _skip_blank(lines: Sequence[str], start: int) -> int:
    """Return the index of the first line from ``start`` on that is neither blank nor a comment."""
    while start < len(lines) and lines[start].strip().partition("#")[0] == "":
        start += 1
    return start


def located(error: PipelineError, checkout: Path) -> str:
    """Return an error's message with line numbers added to the files that it names."""
    sentence = str(error)
    for name, where in error.at.items():
        if not (checkout / name).is_file():  # of settings that are all defaults
            continue
        text = (checkout / name).read_text(encoding="utf-8-sig")
        line = line_with(text, where) if isinstance(where, str) else first_line_of(text, where)
        sentence = sentence.replace(name, format_location(name, line), 1)
    return sentence
