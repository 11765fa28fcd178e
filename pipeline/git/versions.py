"""Versions in the names of git tags: YEAR.MINOR.PATCH, without leading zeros."""

from typing import Final

from packaging.version import InvalidVersion, Version

from pipeline.errors import Code, TagError

#: Branch of which every commit is published.
BRANCH: Final = "main"
#: Count of numbers in a version: year, minor, patch.
PARTS: Final = 3
#: Longest tag that a registry accepts, and so the longest version, in characters.
LIMIT: Final = 128
#: Number of digits of a commit id in a tag.
SHORT: Final = 7
#: Remedy for an invalid ref.
FORMS: Final = "give a version such as v2026.2.0, a pre-release such as v2026.2.0rc1, or main"


def parse_version(ref: str) -> Version:
    """Return the version that a ref names, without leading zeros.

    Raises:
        TagError: the ref is not a version of three numbers, or no tag can hold it.
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
