"""Let go of one package of a lock, so that a solver chooses it anew and keeps all others."""

import re
from collections.abc import Collection, Iterator
from typing import Final

#: A line that uses a package in an environment: indented, with the package's address.
_USE: Final = re.compile(r"^(\s+)- (?:conda|pypi): ['\"]?(\S+?)['\"]?\s*$")
#: The platform of an environment, at its place in every format, below which no package is left.
_EMPTY: Final = re.compile(r"^( {6}[^\s-][^\n]*:)\n(?! {6}- )", re.MULTILINE)


def without(lock: str, urls: Collection[str]) -> str:
    """The text of a lock whose environments do not use the packages of some addresses.

    Text, because a lock that py-rattler writes has the newest format, which an older pixi does not read. What a lock
    says of the packages below `packages:` stays: what no environment uses is left out when pixi writes the lock.
    """
    return _EMPTY.sub(r"\1 []\n", "".join(_without(lock.splitlines(keepends=True), urls)))


def _without(lines: list[str], urls: Collection[str]) -> Iterator[str]:
    # The column of the package that is being left out, whose own lines stand further to the right.
    column: int | None = None
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if column is not None and (indent > column or not line.strip()):
            continue
        match = _USE.match(line)
        column = len(match[1]) if match and match[2] in urls else None
        if column is None:
            yield line
