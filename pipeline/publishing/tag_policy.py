"""Tag policy: the tags that a ref gives an image, decided before any build.

An immutable tag (a full version, ``sha-…``) is pushed once and stays. A floating one (``X.Y``, ``latest``) is moved
when all immutable ones are in place, and never back.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from packaging.version import Version
from pydantic import BaseModel

from pipeline.config.validation import listed
from pipeline.errors import Code, TagError
from pipeline.git.commit import Commit
from pipeline.git.versions import BRANCH, SHORT, parse_version
from pipeline.output.formats import Format
from pipeline.output.tables import draw_markdown, draw_table
from pipeline.scripts.messages import SIF

LATEST: Final = "latest"
#: Beginning of the tag of a commit.
SHA: Final = "sha-"
_COMMIT: Final = r"[0-9a-f]{40}|[0-9a-f]{64}"
COLUMNS: Final = ("tag", "kind", "meaning")


@dataclass(frozen=True)
class Tags:
    """The tags that a ref gives an image."""

    immutable: tuple[str, ...]
    """The tags that are pushed once and never moved; there is always one."""

    floating: tuple[str, ...]
    """The tags that move from image to image, unless `floating_tags` names a reason against it."""

    notes: tuple[str, ...] = ()
    """Sentences about tags that are left out."""

    version: Version | None = None
    """The version that is published; None for the branch."""


class PlannedTag(BaseModel):
    """One tag in the report."""

    tag: str
    kind: str
    meaning: str


class TagPlan(BaseModel):
    """All tags of a ref."""

    ref: str
    tags: list[PlannedTag]
    notes: list[str]


def plan(ref: str, commit: str | None, unknown: str = "no commit is known; give one with --commit") -> Tags:
    """Plan the tags of a ref.

    Args:
        ref: ``main``, or a version with or without ``v`` and leading zeros.
        commit: the id of the published commit, or its first 7 digits or more.
        unknown: why there is no commit and what to do, for the notes.

    Raises:
        TagError: the ref is neither, its version is not a valid tag, or it has no immutable tag.
    """
    sha = (f"{SHA}{_checked(commit)[:SHORT]}",) if commit else ()
    missing = () if sha else (f"sha-… is left out: {unknown}",)
    if ref == BRANCH:
        if not sha:
            raise TagError(Code.TAG_INVALID, f"{BRANCH} has no immutable tag but its commit's sha-…, and {unknown}")
        return Tags(sha, (LATEST,))
    version = parse_version(ref)
    immutable = (str(version), *sha)
    series = f"{version.major}.{version.minor}"
    if version.is_prerelease:
        note = f"{version} is a pre-release: {series} and {LATEST} stay where they are"
        return Tags(immutable, (), (*missing, note), version)
    return Tags(immutable, (series, LATEST), missing, version)


def plan_checkout(ref: str, commit: str | None, head: Commit | None) -> Tags:
    """Plan the tags of a ref for a checkout.

    Args:
        ref: as for :func:`plan`.
        commit: the commit of the option, which is not verified.
        head: the commit that the checkout is at; it counts only if no file differs from it.

    Raises:
        TagError: as :func:`plan` does.
    """
    if commit:
        return plan(ref, commit)
    if head is None:
        return plan(ref, None, "the checkout has no .git folder that says its commit; give one with --commit")
    if head.changed:
        changes = f"{len(head.changed)} of the checkout's paths differ from its commit {head.sha[:SHORT]}"
        return plan(ref, None, f"{changes} ({listed(head.changed)}); commit them, or name a commit with --commit")
    return plan(ref, head.sha)


def with_sif(tags: Tags) -> Tags:
    """Return the tags of an image that has a SIF: each of them, and the same one of the SIF."""
    immutable = (*tags.immutable, *(f"{tag}{SIF}" for tag in tags.immutable))
    return replace(tags, immutable=immutable, floating=(*tags.floating, *(f"{tag}{SIF}" for tag in tags.floating)))


def lengthen(tags: Tags, commit: str, others: Iterable[str]) -> Tags:
    """Lengthen the ``sha-…`` tag until it is that of no other commit.

    Args:
        tags: the tags of a ref.
        commit: the id of the published commit, or the first digits of it.
        others: what published images say their commits are.
    """
    commit = commit.lower()
    # A given id of few digits is that of any commit that begins with them.
    taken = [other for other in others if re.fullmatch(_COMMIT, other) and not other.startswith(commit)]
    length = max((_first_difference(commit, other) + 1 for other in taken), default=0)
    short = next((tag for tag in tags.immutable if tag.startswith(SHA)), "")
    if not short or length <= len(short) - len(SHA):
        return tags
    longer = f"{SHA}{commit[:length]}"
    immutable = tuple(longer + tag.removeprefix(short) if tag.startswith(short) else tag for tag in tags.immutable)
    note = f"{short} is another commit's already, so this one has {longer}"
    return replace(tags, immutable=immutable, notes=(*tags.notes, note))


def _first_difference(one: str, other: str) -> int:
    return next(place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)


def report(ref: str, tags: Tags, sifs: Sequence[str] = ()) -> TagPlan:
    """Return the report about the tags of a ref.

    Args:
        ref: the ref.
        tags: its tags.
        sifs: the images that have a SIF.
    """
    tags = with_sif(tags) if sifs else tags
    rows = [PlannedTag(tag=tag, kind="immutable", meaning=_meaning(tag, sifs)) for tag in tags.immutable]
    rows += [PlannedTag(tag=tag, kind="floating", meaning=_meaning(tag, sifs)) for tag in tags.floating]
    return TagPlan(ref=ref, tags=rows, notes=list(tags.notes))


def draw(tag_plan: TagPlan, form: Format) -> str:
    """Draw a report in a format; the notes follow the table."""
    rows = [(row.tag, row.kind, row.meaning) for row in tag_plan.tags]
    notes = "".join(f"{note}\n" for note in tag_plan.notes)
    match form:
        case Format.JSON:
            return tag_plan.model_dump_json(indent=2)
        case Format.MARKDOWN:
            return draw_markdown(COLUMNS, rows) + (f"\n{notes}" if notes else "")
        case Format.TABLE:
            return draw_table(COLUMNS, rows) + notes


def _meaning(tag: str, sifs: Sequence[str]) -> str:
    if tag.endswith(SIF):
        return f"the SIF of {tag.removesuffix(SIF)}: {', '.join(sifs)}"
    if tag == LATEST:
        return f"the newest release or commit of {BRANCH}; never moves back"
    if tag.startswith("sha-"):
        return "this commit"
    return "this version" if _is_full(tag) else f"the newest release of {tag}; never moves back"


def _is_full(tag: str) -> bool:
    return tag.count(".") > 1


def _checked(commit: str) -> str:
    if not re.fullmatch(rf"[0-9a-fA-F]{{{SHORT},40}}", commit):
        raise TagError(
            Code.TAG_INVALID,
            f"--commit '{commit}' is not the id of a commit; give {SHORT} to 40 hexadecimal digits of it",
        )
    return commit.lower()
