"""Measured figures, and their display: a table of ratios, and a plot."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final, Literal

type Unit = Literal["s", "MB"]
#: Pixels of the plot.
WIDTH, ROW, LEFT, RIGHT, TOP = 860, 44, 290, 130, 46
COLOUR: Final = "#2a6f97"
COLUMNS: Final = ("what", "pipeline", "compared with", "", "ratio")


@dataclass(frozen=True)
class Figure:
    """One measurement of the pipeline, and the same of something else right before or after it."""

    what: str
    unit: Unit
    ours: float
    theirs: float
    peer: str = "Dockerfile"


@dataclass(frozen=True)
class Line:
    """The medians of a measurement's runs, and of the ratios of its pairs."""

    what: str
    unit: Unit
    ours: float
    theirs: float
    ratio: float | None
    """None where the other is nothing."""
    peer: str


def summarize(figures: Sequence[Figure]) -> list[Line]:
    """A line for each thing that was measured, in the order in which it was measured first."""
    lines = []
    for what, unit, peer in dict.fromkeys((figure.what, figure.unit, figure.peer) for figure in figures):
        runs = [figure for figure in figures if (figure.what, figure.unit, figure.peer) == (what, unit, peer)]
        ratios = [run.ours / run.theirs for run in runs if run.theirs]
        lines.append(
            Line(
                what=what,
                unit=unit,
                ours=statistics.median(run.ours for run in runs),
                theirs=statistics.median(run.theirs for run in runs),
                ratio=statistics.median(ratios) if ratios else None,
                peer=peer,
            )
        )
    return lines


def table(lines: Sequence[Line]) -> list[tuple[str, ...]]:
    """The cells of a report."""
    return [
        (
            line.what,
            amount(line.ours, line.unit),
            line.peer,
            amount(line.theirs, line.unit),
            "-" if line.ratio is None else f"{line.ratio:.2f}" if line.ratio >= 0.1 else f"{line.ratio:.3f}",
        )
        for line in lines
    ]


def amount(value: float, unit: Unit) -> str:
    """A value as people read it; bytes were counted as MB."""
    return f"{value:.2f} {unit}"


def plot(lines: Sequence[Line]) -> str:
    """Ratios of bytes as bars in SVG, all to one scale: the line is where the other is as much.

    Seconds are in the table alone: those of a small image are tens of times another's, and no bar would be left to see.
    """
    drawn = [line for line in lines if line.ratio is not None and line.unit == "MB"]
    longest = max([1.0, *(line.ratio or 0 for line in drawn)])
    width = WIDTH - LEFT - RIGHT
    height = TOP + ROW // 2 * len(drawn) + 14
    one = LEFT + width / longest
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        'font-size="13"><rect width="100%" height="100%" fill="white"/>',
        f'<text x="{LEFT}" y="18" font-weight="bold">Bytes of the pipeline for each byte of the other</text>',
        f'<line x1="{one:.1f}" y1="{TOP - 12}" x2="{one:.1f}" y2="{height - 8}" stroke="#5c6670"/>',
        f'<text x="{one:.1f}" y="{TOP - 16}" text-anchor="middle" fill="#5c6670" font-size="11">as much</text>',
    ]
    for row, line in enumerate(drawn):
        y = TOP + ROW // 2 * row
        length = max(width * (line.ratio or 0) / longest, 1)
        parts.append(f'<text x="{LEFT - 10}" y="{y + 12}" text-anchor="end">{escape(line.what)}</text>')
        parts.append(f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="15" fill="{COLOUR}"/>')
        parts.append(f'<text x="{LEFT + length + 6:.1f}" y="{y + 12}">{(line.ratio or 0):.2f}</text>')
    return "\n".join([*parts, "</svg>", ""])
