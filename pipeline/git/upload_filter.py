"""Filter for the upload of a checkout to the engine: patterns as in .dockerignore; the last match decides."""

from typing import Final

#: Patterns of files that are not uploaded, so that a change to them does not rebuild an image. The files of git that
#: identify the commit are uploaded; its configuration is not, because it holds a token in checkouts on CI.
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
#: The same patterns for the preparation of a release, which needs CHANGELOG.md.
HISTORY_LEFT_OUT: Final = tuple(pattern for pattern in LEFT_OUT if pattern != "*.md")
