"""What was measured, and how it is shown: a table of ratios, and a plot."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

#: Pixels of the plot.
WIDTH, ROW, LEFT, RIGHT, TOP = 760, 44, 190, 130, 46
COLOURS: Final = {"pipeline": "#2a6f97", "Dockerfile": "#b0b7bf"}


@dataclass(frozen=True)
class Figure:
    """One build by one builder."""

    case: str
    builder: str
    seconds: float
    pushed: int
    """Bytes of the layers that a registry with the image of the step before does not have."""


@dataclass(frozen=True)
class Line:
    """The medians of a case, and of the ratios that its runs have: each is of two builds right after each other."""

    case: str
    seconds: Mapping[str, float]
    pushed: Mapping[str, float]
    slower: float
    more: float | None
    """None where neither pushes anything."""


def summarize(figures: Sequence[Figure]) -> list[Line]:
    """A line for each case, in the order in which they were measured; both builders have as many runs."""
    lines = []
    for case in dict.fromkeys(figure.case for figure in figures):
        runs = {name: [one for one in figures if (one.case, one.builder) == (case, name)] for name in COLOURS}
        pairs = list(zip(runs["pipeline"], runs["Dockerfile"], strict=True))
        bytes_ = [ours.pushed / theirs.pushed for ours, theirs in pairs if theirs.pushed]
        lines.append(
            Line(
                case=case,
                seconds={name: statistics.median(one.seconds for one in found) for name, found in runs.items()},
                pushed={name: statistics.median(one.pushed for one in found) for name, found in runs.items()},
                slower=statistics.median(ours.seconds / theirs.seconds for ours, theirs in pairs),
                more=statistics.median(bytes_) if bytes_ else None,
            )
        )
    return lines


def table(lines: Sequence[Line]) -> list[tuple[str, ...]]:
    """The cells of a report: seconds and pushed bytes of both, and their ratios."""
    return [
        (
            line.case,
            *(f"{line.seconds[name]:.1f} s" for name in COLOURS),
            f"{line.slower:.2f}",
            *(f"{line.pushed[name] / 1e6:.2f} MB" for name in COLOURS),
            "-" if line.more is None else f"{line.more:.1%}",
        )
        for line in lines
    ]


def plot(lines: Sequence[Line]) -> str:
    """The pushed bytes of each case as bars, in SVG: as long as what they stand for."""
    longest = max((value for line in lines for value in line.pushed.values()), default=0) or 1
    height = TOP + ROW * len(lines) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        'font-size="13"><rect width="100%" height="100%" fill="white"/>',
        f'<text x="{LEFT}" y="18" font-weight="bold">Bytes that are pushed after a change</text>',
    ]
    for number, (name, colour) in enumerate(COLOURS.items()):
        x = LEFT + 110 * number
        parts.append(f'<rect x="{x}" y="26" width="11" height="11" fill="{colour}"/>')
        parts.append(f'<text x="{x + 16}" y="36">{escape(name)}</text>')
    for row, line in enumerate(lines):
        y = TOP + ROW * row
        parts.append(f'<text x="{LEFT - 10}" y="{y + 22}" text-anchor="end">{escape(line.case)}</text>')
        for number, (name, colour) in enumerate(COLOURS.items()):
            length = (WIDTH - LEFT - RIGHT) * line.pushed[name] / longest
            top = y + 4 + 16 * number
            parts.append(f'<rect x="{LEFT}" y="{top}" width="{max(length, 1):.1f}" height="14" fill="{colour}"/>')
            said = f"{line.pushed[name] / 1e6:.2f} MB"
            parts.append(f'<text x="{LEFT + max(length, 1) + 6:.1f}" y="{top + 12}">{said}</text>')
    return "\n".join([*parts, "</svg>", ""])
