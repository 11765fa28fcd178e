"""Order of a repository's tags, for people."""

from collections.abc import Iterable
from typing import Final

from packaging.version import InvalidVersion, Version

from pipeline.scripts.messages import SIF

#: Tag of an image if no registry listed its tags.
USUAL_TAG: Final = "latest"


def newest(tags: Iterable[str]) -> list[str]:
    """Sort the tags of a repository for people: words, then versions from the newest, then commits; without SIFs."""

    def order(tag: str) -> tuple[bool, bool, Version, str]:
        version = _version(tag)
        return tag == USUAL_TAG, version is None and not tag.startswith("sha-"), version or Version("0"), tag

    return sorted((tag for tag in tags if not tag.endswith(SIF)), key=order, reverse=True)


def _version(tag: str) -> Version | None:
    try:
        return Version(tag)
    except InvalidVersion:
        return None
