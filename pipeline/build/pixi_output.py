"""Parser for the output of a failed pixi: its chain of causes, and its help."""

import re
from dataclasses import dataclass, field
from typing import Final

#: Escape codes for colours and links.
COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m|\x1b\]8;;[^\x1b]*\x1b\\")
#: pixi draws its chain of causes as a tree: the failure, then its causes. Newer versions put `Error:` before it.
_ROOT: Final = re.compile(r"^(?:Error:)?\s{0,3}×\s+(.*)$")
_BRANCH: Final = re.compile(r"^\s*[├╰]─▶\s*(.*)$")
#: A warning has the same form, and is no cause.
_WARNING: Final = re.compile(r"^\s*[⚠☞]\s")
#: Vertical lines at the left of a text, one for each tree around it.
_BARS: Final = re.compile(r"^(?:\s*│)+\s?")
#: Code of a diagnostic, in a line before its cause.
_CODE: Final = re.compile(r"^[a-z][a-z0-9_-]*(?:::[a-z0-9_-]+)*$")
#: Entry of a solver's report, which is a tree as well, with thinner lines.
_ITEM: Final = re.compile(r"^[├└]─+\s*")
#: Snippet of a file: its head, which has the position, its foot, and the label of a marked part.
_SNIPPET: Final = re.compile(r"^\s*╭─+(?:\[(.+)\]?)?$")
_SNIPPET_END: Final = re.compile(r"^\s*╰─+$")
_LABEL: Final = re.compile(r"^\s*·.*╰─+\s+(\S.*)$")
#: Older versions of pixi wrap lines in spite of PIXI_NO_WRAP, even inside a URL.
_BROKEN: Final = re.compile(r"\w[-/]$")


@dataclass
class PixiFailure:
    """Causes and help in the output of a failed pixi."""

    causes: list[str] = field(default_factory=list)
    """Chain of causes, outermost first."""

    help: str = ""
    """pixi's own advice."""


def read(output: str) -> PixiFailure:
    """Read the tree of a failure; where the output has none, its last line is the cause."""
    failure = PixiFailure()
    where = ""
    for drawn in COLOURS.sub("", output).splitlines():
        line = drawn.rstrip()
        if _WARNING.match(line):
            where = ""
        elif root := _ROOT.match(line):
            where = "cause"
            failure.causes.append(root[1])
        elif where and (branch := _BRANCH.match(line)):
            where = "cause"
            failure.causes.append(re.sub(r"^×\s+", "", branch[1]))
        elif line[:1].strip():
            where = ""  # other output
        elif where and line:
            where = _continue(failure, where, _BARS.sub("", line))
    if not failure.causes:
        lines = [line.strip() for line in COLOURS.sub("", output).splitlines() if line.strip()]
        failure.causes = ([line for line in lines if line.startswith("error:")] or lines)[-1:]
    return failure


def _continue(failure: PixiFailure, where: str, line: str) -> str:
    """Add a line of a tree to the failure, and return the part that the next line is in: cause, snippet or help."""
    text = line.strip()
    if where == "snippet":
        if label := _LABEL.match(line):
            failure.causes[-1] += f": {label[1]}"
        return "cause" if _SNIPPET_END.match(line) else where
    if snippet := _SNIPPET.match(line):
        if snippet[1]:
            failure.causes[-1] += f" ({snippet[1].rstrip(']')})"
        return "snippet"
    if text.startswith("help: "):
        failure.help = join(failure.help, text.removeprefix("help: "))
        return "help"
    if text.startswith("× "):
        if _CODE.match(failure.causes[-1]):
            failure.causes[-1] = ""
        else:
            failure.causes.append("")
        failure.causes[-1] += text.removeprefix("× ").strip()
        return "cause"
    if where == "help":
        failure.help = join(failure.help, text)
    elif _ITEM.match(text):
        failure.causes[-1] = f"{failure.causes[-1].rstrip(':')}; {_ITEM.sub('', text)}"
    else:
        failure.causes[-1] = join(failure.causes[-1], text)
    return where


def join(before: str, after: str) -> str:
    """Join two lines of a wrapped text, without a space after a hyphen or slash inside a word."""
    return (before + after if _BROKEN.search(before) else f"{before} {after}").strip()


def causes(output: str) -> list[str]:
    """Return the chain of causes in pixi's output, outermost first; its last line where it has no tree."""
    return read(output).causes
