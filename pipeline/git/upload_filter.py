"""What the engine is given of a checkout: patterns in the manner of .dockerignore, the last that matches decides."""

from typing import Final

#: What is left out: a change to it must not build an image again. Of git stays what says which commit this is;
#: its configuration goes nowhere, since checkouts in CI have a token there.
LEFT_OUT: Final = (
    ".*",
    "!.gitignore",
    "!.git",
    ".git/*",
    "!.git/HEAD",
    "!.git/objects",
    "!.git/packed-refs",
    "!.git/refs",
    "!.git/shallow",
    "**/__pycache__",
    "docs",
    "pipeline",
    "tests",
    "*.lock",
    "*.md",
    "dev",
)
#: What is left out where a release is prepared, which is about CHANGELOG.md too.
HISTORY_LEFT_OUT: Final = tuple(pattern for pattern in LEFT_OUT if pattern != "*.md")
