"""The output of a failed pixi, read as it is drawn: its chain of causes, and its help."""

import re
from dataclasses import dataclass, field
from typing import Final

#: The codes with which programs colour their output, and draw links in it.
COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m|\x1b\]8;;[^\x1b]*\x1b\\")
#: pixi draws its chain of causes as a tree: the failure, then what led to it. A newer one puts `Error:` before it.
_ROOT: Final = re.compile(r"^(?:Error:)?\s{0,3}×\s+(.*)$")
_BRANCH: Final = re.compile(r"^\s*[├╰]─▶\s*(.*)$")
#: A warning is drawn in the same way, and is no cause.
_WARNING: Final = re.compile(r"^\s*[⚠☞]\s")
#: The lines at the left, of as many trees as there are around a text.
_BARS: Final = re.compile(r"^(?:\s*│)+\s?")
#: A cause that is a diagnostic of its own may have a code, which stands in a line before it.
_CODE: Final = re.compile(r"^[a-z][a-z0-9_-]*(?:::[a-z0-9_-]+)*$")
#: What a solver could not do is a tree as well, with thinner lines.
_ITEM: Final = re.compile(r"^[├└]─+\s*")
#: A piece of a file, from its head, which has the place, to its foot; and what is said about a part of it.
_SNIPPET: Final = re.compile(r"^\s*╭─+(?:\[(.+)\]?)?$")
_SNIPPET_END: Final = re.compile(r"^\s*╰─+$")
_LABEL: Final = re.compile(r"^\s*·.*╰─+\s+(\S.*)$")
#: pixi is not to wrap its lines, but an older one does: in the middle of an address, too.
_BROKEN: Final = re.compile(r"\w[-/]$")


@dataclass
class Said:
    """What pixi drew when it failed."""

    causes: list[str] = field(default_factory=list)
    """The chain of causes, outermost first."""

    help: str = ""
    """Its own advice."""


def read(output: str) -> Said:
    """Read the tree in which pixi draws a failure; where it drew none, its last words are the cause."""
    said = Said()
    where = ""
    for drawn in COLOURS.sub("", output).splitlines():
        line = drawn.rstrip()
        if _WARNING.match(line):
            where = ""
        elif root := _ROOT.match(line):
            where = "cause"
            said.causes.append(root[1])
        elif where and (branch := _BRANCH.match(line)):
            where = "cause"
            said.causes.append(re.sub(r"^×\s+", "", branch[1]))
        elif line[:1].strip():
            where = ""  # other output
        elif where and line:
            where = _continue(said, where, _BARS.sub("", line))
    if not said.causes:
        lines = [line.strip() for line in COLOURS.sub("", output).splitlines() if line.strip()]
        said.causes = ([line for line in lines if line.startswith("error:")] or lines)[-1:]
    return said


def _continue(said: Said, where: str, line: str) -> str:
    """Take one more line inside a tree, and return inside what the next one is: a cause, a snippet or the help."""
    text = line.strip()
    if where == "snippet":
        if label := _LABEL.match(line):
            said.causes[-1] += f": {label[1]}"
        return "cause" if _SNIPPET_END.match(line) else where
    if snippet := _SNIPPET.match(line):
        if snippet[1]:
            said.causes[-1] += f" ({snippet[1].rstrip(']')})"
        return "snippet"
    if text.startswith("help: "):
        said.help = join(said.help, text.removeprefix("help: "))
        return "help"
    if text.startswith("× "):
        if _CODE.match(said.causes[-1]):
            said.causes[-1] = ""
        else:
            said.causes.append("")
        said.causes[-1] += text.removeprefix("× ").strip()
        return "cause"
    if where == "help":
        said.help = join(said.help, text)
    elif _ITEM.match(text):
        said.causes[-1] = f"{said.causes[-1].rstrip(':')}; {_ITEM.sub('', text)}"
    else:
        said.causes[-1] = join(said.causes[-1], text)
    return where


def join(before: str, after: str) -> str:
    """Put a text together that was wrapped: after a hyphen or slash inside a word, without a space."""
    return (before + after if _BROKEN.search(before) else f"{before} {after}").strip()


def causes(output: str) -> list[str]:
    """The chain of causes in pixi's output, outermost first; its last line where it drew none."""
    return read(output).causes
