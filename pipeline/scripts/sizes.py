"""Numbers of bytes in units for people."""

from typing import Final

#: Units, each a thousand times the previous one.
UNITS: Final = ("B", "kB", "MB", "GB", "TB")
THOUSAND: Final = 1000


def size(count: int | None, *, sign: bool = False) -> str:
    """Format a number of bytes in a suitable unit, None as "?"; ``sign`` adds the sign of a difference."""
    if count is None:
        return "?"
    number: float = count
    unit = 0
    while abs(number) >= THOUSAND and unit < len(UNITS) - 1:
        number, unit = number / THOUSAND, unit + 1
    return f"{number:{'+' if sign else ''}.{1 if unit else 0}f} {UNITS[unit]}"
