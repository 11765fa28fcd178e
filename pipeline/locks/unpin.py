"""Remove packages from a lock, so that the solver chooses these again and keeps all others."""

import re
from collections.abc import Collection, Iterator
from typing import Final

#: Line that uses a package in an environment: indented, with the URL of the package.
_USE: Final = re.compile(r"^(\s+)- (?:conda|pypi): ['\"]?(\S+?)['\"]?\s*$")
#: Platform of an environment without packages; every format indents it by six spaces.
_EMPTY: Final = re.compile(r"^( {6}[^\s-][^\n]*:)\n(?! {6}- )", re.MULTILINE)


def without(lock: str, urls: Collection[str]) -> str:
    """Return the text of a lock without the packages at these URLs in any environment.

    The text is edited because py-rattler writes only the newest format, which an older pixi cannot read. The entries
    below `packages:` stay: pixi drops those that no environment uses when it writes the lock.
    """
    return _EMPTY.sub(r"\1 []\n", "".join(_without(lock.splitlines(keepends=True), urls)))


def _without(lines: list[str], urls: Collection[str]) -> Iterator[str]:
    # Indentation of the removed package; its further lines are indented deeper.
    column: int | None = None
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if column is not None and (indent > column or not line.strip()):
            continue
        match = _USE.match(line)
        column = len(match[1]) if match and match[2] in urls else None
        if column is None:
            yield line
