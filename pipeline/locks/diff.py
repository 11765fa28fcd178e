"""Difference of two locks: changed packages of each environment and platform, and the size of the download."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, Literal

import rattler
from packaging.version import InvalidVersion
from packaging.version import Version as PypiVersion
from pydantic import BaseModel, ConfigDict
from rattler.exceptions import InvalidVersionError

from pipeline.locks.base_images import BaseChange
from pipeline.locks.lockfile import LockTarget, Package, Packages
from pipeline.output.formats import Format
from pipeline.output.tables import SHORT_DIGEST, draw_markdown, draw_table
from pipeline.scripts.sizes import size

type Kind = Literal["conda", "pypi", "virtual"]
type ChangeType = Literal["added", "removed", "upgraded", "downgraded", "rebuilt"]

#: Packages that a report lists first, in this order: topics with patterns for the beginnings of package names.
TOPICS: Final[Mapping[str, re.Pattern[str]]] = {
    "CUDA": re.compile(
        r"(__cuda|cuda|cudnn|cutensor|nccl|nvidia|libcu(blas|dnn|fft|file|rand|solver|sparse|tensor)|libnccl|libnv\w+)\b"
    ),
    "Python": re.compile(r"(python|cpython|python_abi|python-gil)$"),
    "ROOT": re.compile(r"root(\b|_)"),
    "TensorFlow": re.compile(r"(lib)?tensorflow(\b|_)|keras$"),
}
COLUMNS: Final = ("package", "change", "from", "to", "size", "difference")
BASE_COLUMNS: Final = ("base image", "from", "to")


class State(BaseModel):
    """A package before or after a change."""

    model_config = ConfigDict(frozen=True)

    version: str
    build: str
    size: int | None
    """Bytes to download; None if the lock does not give the size."""


class Change(BaseModel):
    """Change of a package."""

    model_config = ConfigDict(frozen=True)

    name: str
    kind: Kind
    change: ChangeType
    topic: str | None
    """Topic that puts the package at the top of the report; None for other packages."""

    before: State | None
    after: State | None


class TargetDiff(BaseModel):
    """All changes for an environment on a platform; packages with a topic come first."""

    model_config = ConfigDict(frozen=True)

    environment: str
    platform: str
    changes: tuple[Change, ...]
    download: int
    """Bytes of the new and changed packages."""

    size_before: int
    """Bytes of all packages whose size the lock gives."""

    size_after: int


class LockDiff(BaseModel):
    """Difference of two locks of an image; environments and platforms without changes are left out."""

    model_config = ConfigDict(frozen=True)

    image: str
    previous: str
    """Origin of the previous lock."""

    targets: tuple[TargetDiff, ...]

    base_changes: tuple[BaseChange, ...] = ()
    """Base images with another digest."""


def compare(
    image: str,
    previous: str,
    before: Mapping[LockTarget, Packages],
    after: Mapping[LockTarget, Packages],
    base_changes: Sequence[BaseChange] = (),
) -> LockDiff:
    """Compare two locks.

    Args:
        image: name of the image.
        previous: origin of the previous lock, for the report.
        before: packages of the previous lock.
        after: packages of the new lock.
        base_changes: base images whose digests differ.
    """
    targets = sorted({*before, *after})
    diffs = (_compare_target(target, before.get(target, {}), after.get(target, {})) for target in targets)
    changed = tuple(diff for diff in diffs if diff.changes)
    return LockDiff(image=image, previous=previous, targets=changed, base_changes=tuple(base_changes))


def _compare_target(target: LockTarget, before: Packages, after: Packages) -> TargetDiff:
    # Formats before 7 have no virtual packages; a new format alone is no change of packages.
    sides = [packages.values() for packages in (before, after)]
    if not all(any(package.kind == "virtual" for package in side) for side in sides):
        before, after = (
            {key: package for key, package in packages.items() if package.kind != "virtual"}
            for packages in (before, after)
        )
    changes = [
        _change(before.get(key), after.get(key))
        for key in {*before, *after}
        if not _is_same(before.get(key), after.get(key))
    ]
    topics = list(TOPICS)
    changes.sort(key=lambda each: (topics.index(each.topic) if each.topic else len(topics), each.name, each.kind))
    return TargetDiff(
        environment=target.environment,
        platform=target.platform,
        changes=tuple(changes),
        download=sum((change.after.size or 0) for change in changes if change.after),
        size_before=sum(package.size or 0 for package in before.values()),
        size_after=sum(package.size or 0 for package in after.values()),
    )


def _is_same(before: Package | None, after: Package | None) -> bool:
    """Whether two packages are the same file by hash, or, if one has no hash, by version, build and URL."""
    if before is None or after is None:
        return False
    for old, new in ((before.sha256, after.sha256), (before.md5, after.md5)):
        if old and new:
            return old == new
    return (before.version, before.build, before.url) == (after.version, after.build, after.url)


def _change(before: Package | None, after: Package | None) -> Change:
    package = after or before
    if package is None:
        raise ValueError("a change needs a package in at least one of the two locks")
    return Change(
        name=package.name,
        kind=package.kind,
        change=change_type(before, after),
        topic=topic(package.name),
        before=_state(before),
        after=_state(after),
    )


def _state(package: Package | None) -> State | None:
    return State(version=package.version, build=package.build, size=package.size) if package else None


def change_type(before: Package | None, after: Package | None) -> ChangeType:
    """Return the type of a change; ``rebuilt`` if the versions are the same or cannot be compared."""
    if before is None:
        return "added"
    if after is None:
        return "removed"
    try:
        newer = _newer(after.kind, before.version, after.version)
    except (InvalidVersion, InvalidVersionError):
        return "rebuilt"
    return "rebuilt" if newer is None else "upgraded" if newer else "downgraded"


def _newer(kind: Kind, before: str, after: str) -> bool | None:
    """Whether the version after a change is newer; None if both are equal, as 1.0 and 1.00 are."""
    if kind == "pypi":
        old, new = PypiVersion(before), PypiVersion(after)
        return None if old == new else old < new
    previous, later = rattler.Version(before), rattler.Version(after)
    return None if previous == later else previous < later


def topic(name: str) -> str | None:
    """Return the topic of a package; None if it has none."""
    return next((title for title, pattern in TOPICS.items() if pattern.match(name)), None)


def report(diff: LockDiff, format: Format) -> str:  # noqa: A002 -- name of the option
    """Format a difference as text."""
    if format is Format.JSON:
        return diff.model_dump_json(indent=2) + "\n"
    if not diff.targets and not diff.base_changes:
        return f"{diff.image}/pixi.lock holds the same packages as the one of {diff.previous}\n"
    markdown = format is Format.MARKDOWN
    draw = draw_markdown if markdown else draw_table
    parts = [f"### `{diff.image}`: packages changed since `{diff.previous}`\n"] if markdown else []
    if diff.base_changes:
        rows = [
            (base.reference, (base.before or "")[:SHORT_DIGEST], (base.after or "")[:SHORT_DIGEST])
            for base in diff.base_changes
        ]
        parts.append(draw(BASE_COLUMNS, rows))
    for target in diff.targets:
        table = draw(COLUMNS, [_row(change, markdown=markdown) for change in target.changes])
        # Without the blank line, Markdown takes the table for a part of the paragraph above it.
        parts.append(f"{summarize(target)}\n{'\n' if markdown else ''}{table}")
    return "\n".join(parts)


def summarize(target: TargetDiff) -> str:
    """Summarize the changes for an environment on a platform in one line."""
    count = Counter(change.change for change in target.changes)
    words: Sequence[ChangeType] = ("upgraded", "downgraded", "rebuilt", "added", "removed")
    counted = ", ".join(f"{count[word]} {word}" for word in words if count[word])
    difference = size(target.size_after - target.size_before, sign=True)
    return (
        f"{target.environment} on {target.platform}: {counted}; {size(target.download)} to download, "
        f"{size(target.size_after)} in all ({difference})"
    )


def _row(change: Change, *, markdown: bool) -> list[str]:
    before, after = change.before, change.after
    name = change.name if change.kind != "pypi" else f"{change.name} (PyPI)"
    known = [state.size if state else 0 for state in (before, after)]
    difference = "?" if None in known else size((known[1] or 0) - (known[0] or 0), sign=True)
    no_file = change.kind == "virtual"
    return [
        f"**{name}**" if markdown and change.topic else name,
        change.change,
        _version(before, change.change),
        _version(after, change.change),
        "" if no_file or after is None else size(after.size),
        "" if no_file else difference,
    ]


def _version(state: State | None, change: ChangeType) -> str:
    """Return the version, followed by the build string if only the build changed."""
    if state is None:
        return ""
    return f"{state.version} {state.build}".strip() if change == "rebuilt" else state.version
