import pytest

from pipeline.scripts.sizes import size


@pytest.mark.parametrize(
    ("count", "sign", "text"),
    [
        (None, False, "?"),
        (0, False, "0 B"),
        (999, False, "999 B"),
        (1500, False, "1.5 kB"),
        (3_800_000_000, False, "3.8 GB"),
        (5 * 10**15, False, "5000.0 TB"),
        (-1_500_000, True, "-1.5 MB"),
        (0, True, "+0 B"),
        (None, True, "?"),
    ],
)
def test_sizes_are_for_people(count: int | None, text: str, *, sign: bool) -> None:
    """In units of a thousand, with one digit behind the point."""
    assert size(count, sign=sign) == text
