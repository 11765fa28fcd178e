"""Versions as tags of git name them: YEAR.MINOR.PATCH, without leading zeros."""

from typing import Final

from packaging.version import InvalidVersion, Version

from pipeline.errors import Code, TagError

#: The branch whose every commit is published.
BRANCH: Final = "main"
#: Numbers of a version: year, minor, patch.
PARTS: Final = 3
#: Characters that a registry lets a tag have, and so a version.
LIMIT: Final = 128
#: Digits of a commit's id in a tag.
SHORT: Final = 7
#: What to type instead of a ref that is none.
FORMS: Final = "give a version such as v2026.2.0, a pre-release such as v2026.2.0rc1, or main"


def parse_version(ref: str) -> Version:
    """The version that a ref names, without leading zeros.

    Raises:
        TagError: it is no version of three numbers, or one that no tag can have.
    """
    if len(ref) > LIMIT:
        raise TagError(
            Code.TAG_INVALID,
            f"'{ref[:SHORT]}…' has {len(ref)} characters, and a tag has {LIMIT} at most; {FORMS}",
        )
    try:
        version = Version(ref)
    except InvalidVersion as error:
        raise TagError(Code.TAG_INVALID, f"'{ref}' is neither a version nor '{BRANCH}'; {FORMS}") from error
    if version.local is not None:
        raise TagError(
            Code.TAG_INVALID,
            f"'{ref}' has the local part '+{version.local}', which no tag of a registry may have; leave it out",
        )
    if len(version.release) != PARTS or version.epoch or version.post is not None:
        raise TagError(Code.TAG_INVALID, f"'{ref}' is not of the form YEAR.MINOR.PATCH; {FORMS}")
    return version
