"""Look for words that stop a reader, and print each with the field's word for it: ``python -m tests.words``.

Files that keep their words are in :data:`KEPT`: the changelog, the unit tests of this module, and files of the sandbox
that are inputs of cached build parts.
"""
# ruff: noqa: T201 -- a command line prints

import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

CHECKOUT: Final = Path(__file__).resolve().parents[1]
#: Files of the checkout that people read.
READ: Final = (
    "pipeline/**/*.py",
    "pipeline/**/*.sh",
    "pipeline/**/*.html",
    "tests/**/*.py",
    "tests/**/*.sh",
    "tests/**/*.md",
    "docs/**/*.md",
    "*.md",
    ".github/**/*.md",
)
#: Every machine makes a cached part again when a byte of its inputs changes.
_INPUT: Final = "input of a cached build part"
#: Files that are not looked at, each with the reason.
KEPT: Final = {
    "CHANGELOG.md": "releases keep the words of their day",
    "tests/unit/test_words.py": "has the words as its examples",
    "tests/sandbox/channel/*.py": _INPUT,
    "tests/sandbox/pixi_stand_in/*.py": _INPUT,
    "tests/sandbox/current_pixi.py": _INPUT,
    "tests/sandbox/images.py": _INPUT,
    "tests/sandbox/oci.py": _INPUT,
    "tests/sandbox/sdk_content.py": _INPUT,
}


def read_words() -> dict[re.Pattern[str], str]:
    """The patterns of words.toml, each with the words to write instead."""
    tables = tomllib.loads(Path(__file__).with_name("words.toml").read_text(encoding="utf-8"))["words"]
    return {re.compile(rf"(?<!\w)(?:{table['pattern']})(?!\w)", re.IGNORECASE): table["say"] for table in tables}


def find(text: str, words: Mapping[re.Pattern[str], str]) -> list[tuple[int, str, str]]:
    """The banned words of a text: the line, the words there, and the words to write instead."""
    return [
        (number, match[0], say)
        for number, line in enumerate(text.splitlines(), 1)
        for pattern, say in words.items()
        for match in pattern.finditer(line)
    ]


def main(checkout: Path, patterns: Iterable[str] = READ) -> int:
    """Print every banned word of a checkout, and return 1 where there is one."""
    words = read_words()
    count = 0
    for path in sorted(_glob(checkout, patterns) - _glob(checkout, KEPT)):
        for line, word, say in find(path.read_text(encoding="utf-8"), words):
            print(f"{path.relative_to(checkout)}:{line}: '{word}': write {say}")
            count += 1
    return 1 if count else 0


def _glob(checkout: Path, patterns: Iterable[str]) -> set[Path]:
    return {path for pattern in patterns for path in checkout.glob(pattern)}


if __name__ == "__main__":
    sys.exit(main(CHECKOUT))
