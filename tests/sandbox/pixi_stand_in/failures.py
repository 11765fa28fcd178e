"""How a failure is drawn on the standard error: a chain of causes, and help."""

import os
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


def _hang(start: str, indent: str, text: str) -> list[str]:
    whole = any(os.environ.get(name, "").lower() in ("1", "true") for name in ("CI", "PIXI_NO_WRAP"))
    lines: list[str] = []
    for line in text.splitlines() or [""]:
        broken = [line] if whole else textwrap.wrap(line, WIDTH - len(start), break_on_hyphens=False) or [""]
        lines += broken
    return [start + lines[0], *(f"{indent}{line}".rstrip() for line in lines[1:])]
