"""Tables of reports: with lines for a terminal or log, in Markdown for a pull request or the summary of a job."""

import io
from collections.abc import Iterable, Sequence
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

#: Fixed width of a table in characters: its output is a log or file as often as a terminal.
WIDTH: Final = 120
#: Number of characters of a digest in a table.
SHORT_DIGEST: Final = len("sha256:") + 12
#: Colors of cells by their text; other cells have no color.
STYLES: Final = {"passed": "green", "failed": "red"}


def draw_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Draw a table with lines around its cells; long cells are wrapped.

    Args:
        columns: titles of the columns.
        rows: cells of each row, one for each column.
    """
    table = Table(*columns, title_justify="left")
    for column in table.columns:
        # A truncated name could not be copied.
        column.overflow = "fold"
    for row in rows:
        table.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in row))
    text = io.StringIO()
    Console(file=text, width=WIDTH).print(table)
    return text.getvalue()


def draw_markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Draw a table in GitHub's Markdown, with one line for each row, however long its cells are."""
    table = Table(*columns, box=box.MARKDOWN)
    cells = [[_escaped(cell) for cell in row] for row in rows]
    for row in cells:
        table.add_row(*map(Text, row))
    # Wide enough for every cell: rich would turn a wrapped cell into several rows.
    width = sum(max(map(len, column)) + 3 for column in zip(columns, *cells, strict=True)) + 1
    text = io.StringIO()
    Console(file=text, width=width).print(table)
    # rich puts blank lines around a Markdown table.
    return text.getvalue().strip() + "\n"


def _escaped(cell: str) -> str:
    """Escape the characters that would end the cell or its row."""
    return cell.replace("|", r"\|").replace("\n", "<br>")
