"""Numbers of bytes, for people."""

from typing import Final

#: Each a thousand of the one before.
UNITS: Final = ("B", "kB", "MB", "GB", "TB")
THOUSAND: Final = 1000


def size(count: int | None, *, sign: bool = False) -> str:
    """A number of bytes in the unit that fits, "?" for none; ``sign`` is for a difference, which can be negative."""
    if count is None:
        return "?"
    number: float = count
    unit = 0
    while abs(number) >= THOUSAND and unit < len(UNITS) - 1:
        number, unit = number / THOUSAND, unit + 1
    return f"{number:{'+' if sign else ''}.{1 if unit else 0}f} {UNITS[unit]}"
