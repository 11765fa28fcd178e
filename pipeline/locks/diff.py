"""What changed between two locks: which packages, for which environment and platform, and what it costs to download."""

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
type What = Literal["added", "removed", "upgraded", "downgraded", "rebuilt"]

#: What is told first, in this order: packages by the beginning of their names, after which a word ends.
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
    """One side of a change."""

    model_config = ConfigDict(frozen=True)

    version: str
    build: str
    size: int | None
    """Bytes to download; None where the lock does not say."""


class Change(BaseModel):
    """What became of one package."""

    model_config = ConfigDict(frozen=True)

    name: str
    kind: Kind
    change: What
    topic: str | None
    """Which of the things that are told first it belongs to."""

    before: State | None
    after: State | None


class TargetDiff(BaseModel):
    """All changes for one environment on one platform, with what is told first at the beginning."""

    model_config = ConfigDict(frozen=True)

    environment: str
    platform: str
    changes: tuple[Change, ...]
    download: int
    """Bytes of the packages that somebody with the previous lock has not got yet."""

    size_before: int
    """Bytes of all packages; those whose size a lock does not say are not counted."""

    size_after: int


class LockDiff(BaseModel):
    """The difference of two locks of an image; places without a change are left out."""

    model_config = ConfigDict(frozen=True)

    image: str
    previous: str
    """Where the previous lock is from."""

    places: tuple[TargetDiff, ...]

    bases: tuple[BaseChange, ...] = ()
    """Base images with another digest."""


def compare(
    image: str,
    previous: str,
    before: Mapping[LockTarget, Packages],
    after: Mapping[LockTarget, Packages],
    bases: Sequence[BaseChange] = (),
) -> LockDiff:
    """The difference of two locks.

    Args:
        image: the image that they are of.
        previous: where the previous lock is from, for the report.
        before: what the previous lock holds.
        after: what the later one holds.
        bases: base images that have another digest.
    """
    places = (_compare_place(place, before.get(place, {}), after.get(place, {})) for place in sorted({*before, *after}))
    changed = tuple(found for found in places if found.changes)
    return LockDiff(image=image, previous=previous, places=changed, bases=tuple(bases))


def _compare_place(place: LockTarget, before: Packages, after: Packages) -> TargetDiff:
    # Formats before 7 have no virtual packages; none of them was added or removed by that.
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
    changes.sort(key=lambda found: (topics.index(found.topic) if found.topic else len(topics), found.name, found.kind))
    return TargetDiff(
        environment=place.environment,
        platform=place.platform,
        changes=tuple(changes),
        download=sum((change.after.size or 0) for change in changes if change.after),
        size_before=sum(package.size or 0 for package in before.values()),
        size_after=sum(package.size or 0 for package in after.values()),
    )


def _is_same(before: Package | None, after: Package | None) -> bool:
    """Whether two packages are the same file: by their hashes, or where one has none, by their address."""
    if before is None or after is None:
        return False
    for old, new in ((before.sha256, after.sha256), (before.md5, after.md5)):
        if old and new:
            return old == new
    return (before.version, before.build, before.url) == (after.version, after.build, after.url)


def _change(before: Package | None, after: Package | None) -> Change:
    package = after or before
    if package is None:
        raise ValueError("a change is of a package that was locked at least once")
    return Change(
        name=package.name,
        kind=package.kind,
        change=what_happened(before, after),
        topic=topic(package.name),
        before=_state(before),
        after=_state(after),
    )


def _state(package: Package | None) -> State | None:
    return State(version=package.version, build=package.build, size=package.size) if package else None


def what_happened(before: Package | None, after: Package | None) -> What:
    """One word for a change; ``rebuilt`` where the version is the same, or cannot be compared."""
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
    """Whether a version is newer than another; None where both are the same, as 1.0 and 1.00 are."""
    if kind == "pypi":
        old, new = PypiVersion(before), PypiVersion(after)
        return None if old == new else old < new
    previous, later = rattler.Version(before), rattler.Version(after)
    return None if previous == later else previous < later


def topic(name: str) -> str | None:
    """Which of the things that are told first a package belongs to."""
    return next((title for title, pattern in TOPICS.items() if pattern.match(name)), None)


def report(diff: LockDiff, format: Format) -> str:  # noqa: A002 -- what the option is called
    """A difference, as text in a format."""
    if format is Format.JSON:
        return diff.model_dump_json(indent=2) + "\n"
    if not diff.places and not diff.bases:
        return f"{diff.image}/pixi.lock holds the same packages as the one of {diff.previous}\n"
    markdown = format is Format.MARKDOWN
    draw = draw_markdown if markdown else draw_table
    parts = [f"### `{diff.image}`: packages changed since `{diff.previous}`\n"] if markdown else []
    if diff.bases:
        rows = [
            (base.reference, (base.before or "")[:SHORT_DIGEST], (base.after or "")[:SHORT_DIGEST])
            for base in diff.bases
        ]
        parts.append(draw(BASE_COLUMNS, rows))
    for place in diff.places:
        table = draw(COLUMNS, [_row(change, markdown=markdown) for change in place.changes])
        # Markdown would take a table right below a line for more of that line.
        parts.append(f"{summarize(place)}\n{'\n' if markdown else ''}{table}")
    return "\n".join(parts)


def summarize(place: TargetDiff) -> str:
    """One line about the changes for one environment on one platform."""
    count = Counter(change.change for change in place.changes)
    words: Sequence[What] = ("upgraded", "downgraded", "rebuilt", "added", "removed")
    counted = ", ".join(f"{count[word]} {word}" for word in words if count[word])
    difference = size(place.size_after - place.size_before, sign=True)
    return (
        f"{place.environment} on {place.platform}: {counted}; {size(place.download)} to download, "
        f"{size(place.size_after)} in all ({difference})"
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


def _version(state: State | None, change: What) -> str:
    """A version, with the build string where that is what changed."""
    if state is None:
        return ""
    return f"{state.version} {state.build}".strip() if change == "rebuilt" else state.version
