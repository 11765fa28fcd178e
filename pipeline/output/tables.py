"""Reports drawn for the place that shows them: a terminal or log, and a pull request or a job's summary."""

import io
from collections.abc import Iterable, Sequence
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

#: Columns of a drawn table: it goes to a log or a file as often as to a terminal, so it has a width of its own.
WIDTH: Final = 120
#: Characters of a digest that a table shows.
SHORT_DIGEST: Final = len("sha256:") + 12
#: How a cell says that something is good or bad; other cells are left as they are.
STYLES: Final = {"passed": "green", "failed": "red"}


def draw_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with lines around its cells; long cells are wrapped.

    Args:
        columns: what each column is called.
        rows: as many cells as there are columns, in each.
    """
    table = Table(*columns, title_justify="left")
    for column in table.columns:
        # A name that is cut off cannot be copied.
        column.overflow = "fold"
    for row in rows:
        table.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in row))
    text = io.StringIO()
    Console(file=text, width=WIDTH).print(table)
    return text.getvalue()


def draw_markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The same table in GitHub's Markdown, a line a row however long its cells are."""
    table = Table(*columns, box=box.MARKDOWN)
    cells = [[_escaped(cell) for cell in row] for row in rows]
    for row in cells:
        table.add_row(*map(Text, row))
    # Wide enough that nothing is wrapped: a wrapped cell would be a row of its own.
    width = sum(max(map(len, column)) + 3 for column in zip(columns, *cells, strict=True)) + 1
    text = io.StringIO()
    Console(file=text, width=width).print(table)
    # rich frames a Markdown table with blank lines.
    return text.getvalue().strip() + "\n"


def _escaped(cell: str) -> str:
    """A cell that ends neither its column nor its row."""
    return cell.replace("|", r"\|").replace("\n", "<br>")
