"""Where in a TOML file a key stands: what is wrong is told with the line to change."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli

from pipeline.errors import PipelineError

#: The way to a key: tables by name, elements of arrays by number.
Keys = tuple[str | int, ...]


def line_of(text: str, keys: Keys) -> int | None:
    """The line that a key's statement starts in, counted from 1.

    TOML has no statement across the end of what can be parsed so far: the file is read line by line, and the key
    stands in the statement after which it is there. So every way to write a key is known, and none of them by name.

    Args:
        text: what can be read as TOML.
        keys: the way to the key; where the last parts of it are not there, the nearest table around them counts.

    Returns:
        The line; None where not even the first part is there.
    """
    while keys and not _has(tomli.loads(text), keys):
        keys = keys[:-1]
    if not keys:
        return None
    lines = text.splitlines(keepends=True)
    start = 0
    for number in range(1, len(lines) + 1):
        try:
            read = tomli.loads("".join(lines[:number]))
        except tomli.TOMLDecodeError:
            # In the middle of a statement.
            continue
        if _has(read, keys):
            return _skip_blank(lines, start) + 1
        start = number
    return None


def first_line_of(text: str, ways: Sequence[Keys]) -> int | None:
    """The line of the first key that is there whole, of several that could be."""
    values = tomli.loads(text)
    return next((line_of(text, keys) for keys in ways if _has(values, keys)), None)


def line_with(text: str, words: str) -> int | None:
    """The first line that has the words in it, in a file of any kind."""
    return next((number for number, line in enumerate(text.splitlines(), 1) if words in line), None)


def place(name: str, line: int | None) -> str:
    """A file and a line in it as compilers write them, which terminals and editors open."""
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
    """The first line from ``start`` on that says something."""
    while start < len(lines) and lines[start].strip().partition("#")[0] == "":
        start += 1
    return start


def located(error: PipelineError, checkout: Path) -> str:
    """An error's sentence with the lines of the files that it names."""
    sentence = str(error)
    for name, where in error.at.items():
        text = (checkout / name).read_text(encoding="utf-8-sig")
        line = line_with(text, where) if isinstance(where, str) else first_line_of(text, where)
        sentence = sentence.replace(name, place(name, line), 1)
    return sentence
