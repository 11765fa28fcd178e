"""Look for words that stop a reader, and print each with the field's word for it: ``python -m tests.words``."""
# ruff: noqa: T201 -- a command line prints

import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

CHECKOUT: Final = Path(__file__).resolve().parents[1]
#: Files of the checkout that people read.
READ: Final = ("pipeline/**/*.py", "pipeline/**/*.sh", "pipeline/**/*.html", "docs/**/*.md", "*.md", ".github/**/*.md")
#: Releases keep the words of their day.
KEPT: Final = frozenset({"CHANGELOG.md"})


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
    files = sorted(
        {path for pattern in patterns for path in checkout.glob(pattern)} - {checkout / name for name in KEPT}
    )
    count = 0
    for path in files:
        for line, word, say in find(path.read_text(encoding="utf-8"), words):
            print(f"{path.relative_to(checkout)}:{line}: '{word}': write {say}")
            count += 1
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(CHECKOUT))
