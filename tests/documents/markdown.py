"""Markdown documents: which there are, and their links, headings and lines."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.token import Token

#: Characters in a line. Rows of tables cannot be wrapped, and neither can addresses.
WIDTH: Final = 120
_ADDRESS: Final = re.compile(r"\]\([^)\s]*\)|https?://\S+")
_MODULE: Final = re.compile(r"`([\w.-]+(?:/[\w.-]+)+\.py)`")
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


@dataclass(frozen=True)
class Link:
    """A link or an image of a document, as it is written."""

    line: int
    target: str

    @property
    def is_external(self) -> bool:
        """Whether it leads out of the repository."""
        return bool(_SCHEME.match(self.target))

    @property
    def path(self) -> str:
        """The file or folder, relative to the document's folder; empty for the document itself."""
        return unquote(self.target.partition("#")[0])

    @property
    def anchor(self) -> str:
        """The heading, or empty."""
        return unquote(self.target.partition("#")[2])


def documents(checkout: Path) -> list[Path]:
    """The Markdown files of a checkout that git does not ignore."""
    command = ["git", "-C", str(checkout), "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return sorted(file for name in found.split("\0") if name and (file := checkout / name).exists())


def links(text: str) -> Iterator[Link]:
    """The links and images of a document."""
    for token in MarkdownIt("gfm-like", {"linkify": False}).parse(text):
        line = token.map[0] + 1 if token.map else 0
        for part in token.children or ():
            target = part.attrGet("href") if part.type == "link_open" else part.attrGet("src")
            if isinstance(target, str) and part.type in {"link_open", "image"}:
                yield Link(line, target)
            line += part.type in {"softbreak", "hardbreak"}


@cache
def anchors(file: Path) -> frozenset[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    found: dict[str, int] = {}
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(file.read_text(encoding="utf-8"))
    for opening, content in pairwise(tokens):
        if opening.type == "heading_open":
            slug = re.sub(r"[^\w\- ]", "", _plain(content)).strip().lower().replace(" ", "-")
            count = found[slug] = found.get(slug, -1) + 1
            if count:
                found[f"{slug}-{count}"] = 0
    return frozenset(found)


def broken_links(file: Path, checkout: Path) -> Iterator[str]:
    """A finding for each link of a document that leads nowhere in the checkout, as ``FILE:LINE: reason``."""
    for link in links(file.read_text(encoding="utf-8")):
        if link.is_external:
            continue
        place = f"{file.relative_to(checkout)}:{link.line}"
        target = (file.parent / link.path).resolve() if link.path else file
        if not target.is_relative_to(checkout) or not target.exists():
            yield f"{place}: dead link '{link.target}': there is no such file"
        elif link.anchor and (target.suffix != ".md" or link.anchor not in anchors(target)):
            yield f"{place}: dead link '{link.target}': {target.relative_to(checkout)} has no such heading"


def long_lines(file: Path, checkout: Path) -> Iterator[str]:
    """A finding for each line of a document that is too long, as ``FILE:LINE: reason``."""
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        length = len(_ADDRESS.sub("", line))
        if length > WIDTH and not line.lstrip().startswith("|"):
            yield f"{file.relative_to(checkout)}:{number}: {length} characters; wrap the line at {WIDTH}"


def missing_modules(file: Path, checkout: Path) -> Iterator[str]:
    """A finding for each module that a document names by its path and that is not there.

    The path starts in the checkout, in ``pipeline/``, or beside the document.
    """
    folders = (checkout, checkout / "pipeline", file.parent)
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        for name in _MODULE.findall(line):
            if not any((folder / name).exists() for folder in folders):
                yield f"{file.relative_to(checkout)}:{number}: there is no module '{name}'"


def _plain(inline: Token) -> str:
    return "".join(part.content for part in inline.children or () if part.type in {"text", "code_inline"})
