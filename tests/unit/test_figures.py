"""Measurements of the benchmark are printed as medians of ratios, and drawn to scale."""

import re

from tests.bench.figures import Figure, Line, plot, summarize, table


def test_ratios_are_medians_of_pairs() -> None:
    """Each measurement is compared with the one right beside it: three runs, the middle one of their ratios."""
    (line,) = summarize([Figure("cold", "s", ours, theirs) for ours, theirs in ((1, 2), (9, 3), (4, 4))])
    assert line == Line("cold", "s", 4, 3, 1.0, "Dockerfile")


def test_what_is_nothing_has_no_ratio() -> None:
    """Bytes are not compared with none."""
    (line,) = summarize([Figure("changed file: pushed", "MB", 0.01, 0)])
    assert table([line]) == [("changed file: pushed", "0.01 MB", "Dockerfile", "0.00 MB", "-")]
    assert "changed file" not in plot([line])


def test_seconds_and_bytes_of_one_thing_are_two_lines() -> None:
    """Each unit has its own line; the peer is named."""
    lines = summarize([Figure("pull", "s", 1, 2), Figure("pull", "MB", 1, 100, "a peer")])
    assert [cells[1:] for cells in table(lines)] == [
        ("1.00 s", "Dockerfile", "2.00 s", "0.50"),
        ("1.00 MB", "a peer", "100.00 MB", "0.010"),
    ]


def test_bars_are_as_long_as_what_they_stand_for() -> None:
    """Half of the ratio is half of the length."""
    drawn = plot(summarize([Figure("a", "MB", 1, 2), Figure("b", "MB", 2, 2), Figure("c", "s", 9, 1)]))
    half, whole = (float(width) for width in re.findall(r'width="([\d.]+)" height="15"', drawn))
    assert half * 2 == whole
    assert drawn.startswith("<svg ")
