"""What the benchmark measured is told as medians of ratios, and drawn to scale."""

import re

from tests.bench.figures import Figure, Line, plot, summarize, table


def test_ratios_are_medians_of_pairs() -> None:
    """Each build is compared with the one right beside it: three runs, the middle one of their ratios."""
    figures = [
        Figure("cold", builder, seconds, pushed)
        for ours, theirs, pushed in ((1, 2, 10), (9, 3, 30), (4, 4, 20))
        for builder, seconds, pushed in (("pipeline", ours, pushed), ("Dockerfile", theirs, 100))
    ]
    (line,) = summarize(figures)
    assert line == Line("cold", {"pipeline": 4, "Dockerfile": 3}, {"pipeline": 20, "Dockerfile": 100}, 1.0, 0.2)


def test_what_pushes_nothing_has_no_ratio_of_bytes() -> None:
    """An unchanged image is not compared by what it does not push."""
    (line,) = summarize([Figure("unchanged", builder, 1, 0) for builder in ("pipeline", "Dockerfile")])
    assert table([line]) == [("unchanged", "1.0 s", "1.0 s", "1.00", "0.00 MB", "0.00 MB", "-")]


def test_bars_are_as_long_as_what_they_stand_for() -> None:
    """Half of the bytes is half of the length."""
    drawn = plot([Line("change", {}, {"pipeline": 50, "Dockerfile": 100}, 1, 0.5)])
    ours, theirs = (float(width) for width in re.findall(r'width="([\d.]+)" height="14"', drawn))
    assert ours * 2 == theirs
    assert drawn.startswith("<svg ")
