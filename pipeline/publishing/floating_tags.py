"""Decisions about floating tags: whether one may move to an image, and what decided.

A series goes to its newest release. ``latest`` goes to no older commit, by the history of the checkout. Where that does
not say which of two commits is newer, the numbers of releases and then the times of the commits decide, and a warning
says so: a clock may be wrong, and a tag such as 2026.09.15 may be no release.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from packaging.version import Version

from pipeline.errors import TagError
from pipeline.git.ancestry import Order
from pipeline.git.versions import SHORT, parse_version
from pipeline.publishing.tag_policy import LATEST, Tags
from pipeline.scripts.messages import SIF


@dataclass(frozen=True)
class Current:
    """Commit of the image that ``latest`` is at now in one repository."""

    order: Order = Order.UNKNOWN
    """Place of the published commit compared with it."""

    revision: str = ""
    """Its id; empty if the image does not say it."""

    made: datetime | None = None
    """Its time; None if unknown."""


@dataclass(frozen=True)
class Decision:
    """Decision about a floating tag."""

    reason: str = ""
    """The reason why the tag stays where it is; empty if it may move."""

    warning: str = ""
    """The sentence that numbers or a clock decided; empty if history did, or if nothing had to be decided."""


def decide(
    tag: str,
    tags: Tags,
    existing: Collection[str],
    *,
    made: datetime | None = None,
    currents: Collection[Current] = (),
) -> Decision:
    """Decide whether a floating tag may move: ``latest`` by history; where that does not say, by numbers and clocks.

    Args:
        tag: one of the floating tags; that of a SIF goes where the same tag of its image goes.
        tags: the tags of the ref.
        existing: all tags of the repositories.
        made: time of the published commit; None if unknown.
        currents: the commits of the images that ``latest`` is at now, as far as they are other images.
    """
    stays = f"{tag} stays where it is"
    tag = tag.removesuffix(SIF)
    currents = currents if tag == LATEST else ()
    if older := [current for current in currents if current.order is Order.OLDER]:
        return Decision(f"{stays}: it is of commit {older[0].revision[:SHORT]}, which comes after this one")
    rest = [current for current in currents if current.order is not Order.NEWER]
    if currents and not rest:
        return Decision()
    if newer := _newer_release(tag, tags.version, existing):
        unknown = [current for current in rest if current.order is Order.UNKNOWN]
        reason = f"{stays}: {newer} is there, and is newer than {tags.version}"
        return Decision(reason, _warning(f"the number of {newer}", reason, unknown))
    rest = [current for current in rest if current.order is not Order.SAME]
    newest = max((current.made for current in rest if current.made), default=None)
    if made is None or newest is None:
        return Decision("", _warning("nothing", "", rest))
    reason = f"{stays}: it is of a commit of {newest:%Y-%m-%d %H:%M}, and this one is older" if newest > made else ""
    return Decision(reason, _warning("a clock", reason, rest))


def _newer_release(tag: str, version: Version | None, existing: Collection[str]) -> str:
    """Return the tag of the newest release that is newer than a version, for a series in that series; empty if none."""
    if version is None:
        return ""
    releases = {name: release for name in sorted(existing) if (release := _release(name))}
    if tag != LATEST:
        releases = {name: release for name, release in releases.items() if release.release[:2] == version.release[:2]}
    newest = max(releases, key=releases.__getitem__, default="")
    return newest if newest and releases[newest] > version else ""


def _warning(decider: str, reason: str, currents: Collection[Current]) -> str:
    """Return the warning that something else than history decided about ``latest``; empty if nothing was undecided."""
    causes = dict.fromkeys(map(_cause, currents))
    outcome = "stays where it is" if reason else "moves"
    return (
        f"WARNING: not history but {decider} decided that {LATEST} {outcome}: {'; '.join(causes)}; "
        f"see that {LATEST} is right"
        if causes
        else ""
    )


def _cause(current: Current) -> str:
    """Return why history does not decide about an image."""
    if not current.revision:
        return "the image there does not say its commit"
    commit = f"commit {current.revision[:SHORT]} of the image there"
    if current.order is Order.DIVERGED:
        return f"{commit} is on another branch than the published one"
    return f"{commit} is not in the history of the published one, as far as this checkout has it (a full clone does)"


def _release(tag: str) -> Version | None:
    """Return the release that a tag names; None for any other tag: a pre-release, a series, a commit."""
    try:
        version = parse_version(tag)
    except TagError:
        return None
    return None if version.is_prerelease else version
