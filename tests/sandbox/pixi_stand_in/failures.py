"""How a failure is drawn on the standard error: a chain of causes, and help."""

import os
import re
import textwrap
from typing import Final

#: Columns, where nobody says that lines are not to be broken.
WIDTH: Final = 78


class PixiError(Exception):
    """A failure that ends the command.

    Attributes:
        causes: what failed, then what led to it.
        help: what a person may do; may be empty.
        code: a name of the kind of failure; most have none.
    """

    def __init__(self, *causes: str, remedy: str = "", code: str = "") -> None:
        super().__init__(": ".join(causes))
        self.causes = causes
        self.help = remedy
        self.code = code


def draw(error: PixiError) -> str:
    """The lines that a failure is shown in."""
    first, *others = error.causes
    lines = [f"Error: {error.code}", ""] if error.code else []
    lines += _hang("  × ", "  │ " if others else "    ", first)
    for index, cause in enumerate(others):
        last = index == len(others) - 1
        lines += _hang("  ╰─▶ " if last else "  ├─▶ ", "      " if last else "  │   ", cause)
    if error.help:
        lines += _hang("  help: ", "        ", error.help)
    return "\n".join(lines) if error.code else "Error: " + "\n".join(lines)


def warn(text: str) -> str:
    """A line that a person is warned with."""
    return f" WARN {text}"


def chain(text: str) -> list[str]:
    """The causes that py-rattler writes below each other in one text."""
    return re.split(r"\s*\n\s*Caused by:\s*", text.strip())


def nested(text: str) -> str:
    """A cause that is drawn as a failure of its own."""
    return "  × {}\n\n".format("\n  │ ".join([text] if _is_whole() else textwrap.wrap(text, WIDTH - 20)))


def _is_whole() -> bool:
    """Whether lines are not to be broken."""
    return any(os.environ.get(name, "").lower() in ("1", "true") for name in ("CI", "PIXI_NO_WRAP"))


def _hang(start: str, indent: str, text: str) -> list[str]:
    lines: list[str] = []
    for line in text.splitlines() or [""]:
        lines += [line] if _is_whole() else textwrap.wrap(line, WIDTH - len(start)) or [""]
    return [start + lines[0], *(f"{indent}{line}" for line in lines[1:])]
