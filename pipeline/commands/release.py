"""Preparation of a release: the new version in all files that have it, and the changelog's entry.

The tag, which publishes, is set by hand.
"""

import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final, cast

import anyio
import dagger
import tomlkit
from packaging.version import InvalidVersion, Version
from tomlkit.exceptions import TOMLKitError

from pipeline import changelog
from pipeline.config.image_toml import find_images
from pipeline.config.validation import listed
from pipeline.errors import Code, PipelineError
from pipeline.git.history import History, read_history
from pipeline.git.versions import parse_version
from pipeline.locks.manifest import PIXI_TOML, PYPROJECT, WORKSPACE

#: Byte order mark, which some editors write before a file's text; pixi skips it, tomlkit does not.
MARK: Final = "\ufeff"


@dataclass(frozen=True)
class VersionLocation:
    """One place that has the version: a table of a file."""

    file: str
    table: str
    text: str
    """The file's text."""

    version: Version

    def __str__(self) -> str:
        return f"{self.version} in {self.file} [{self.table}]"


@dataclass(frozen=True)
class Release:
    """A prepared release."""

    version: Version
    files: dict[str, str]
    """The new text of each file that changes, by its path."""

    summary: str
    """The changes, and the commands to type next."""


def prepare(checkout: Path, version: str | None, day: str | None) -> Release:
    """Prepare a release of a checkout.

    Args:
        checkout: the files, with CHANGELOG.md and .git.
        version: the version to release; the next one by date if None.
        day: day of the release, as 2026-02-28; the day of the newest commit if None.

    Raises:
        PipelineError: a file lacks the version or has another one, or the version or day cannot be the next.
        TagError: the version is not valid.
    """
    locations = find_locations(checkout)
    history = read_history(checkout)
    path = checkout / changelog.FILE
    if not path.is_file():
        raise PipelineError(
            Code.CHANGELOG_INVALID, f"{changelog.FILE} is missing; add it with a heading '## Unreleased'"
        )
    text = path.read_text(encoding="utf-8")
    when = parse_day(day) if day else history.day
    released = {*history.tagged, *changelog.versions(text)}
    current = locations[0].version
    if version is None:
        chosen = next_version(current, released, when)
    else:
        chosen = parse_version(version)
        check_next(chosen, current, released)
    if not history.commits:
        raise PipelineError(
            Code.RELEASE_EMPTY, f"nothing was committed since v{history.last}; there is nothing to release"
        )
    files = {location.file: replace_version(location, chosen) for location in locations if location.version != chosen}
    files[changelog.FILE] = changelog.with_release(text, chosen, when, history.commits)
    return Release(chosen, files, explain(chosen, history, files))


def find_locations(checkout: Path) -> list[VersionLocation]:
    """Find all places that have the version: pyproject.toml first, then each image's pixi.toml with a version.

    Raises:
        PipelineError: a file is missing or not TOML, a version is not valid, or two of them differ.
    """
    locations = [location for location in (_find(checkout, PYPROJECT, "project"),) if location is not None]
    if not locations:
        raise PipelineError(
            Code.VERSION_INVALID, f'{PYPROJECT} has no version in [project]; add version = "YEAR.MINOR.PATCH" there'
        )
    for image in find_images(checkout):
        file = f"{image}/{PIXI_TOML}"
        # An image that is built from a Dockerfile has no manifest.
        if (checkout / file).is_file():
            locations += [location for table in WORKSPACE if (location := _find(checkout, file, table)) is not None]
    if len({location.version for location in locations}) > 1:
        raise PipelineError(
            Code.VERSION_INVALID,
            f"the version is not the same everywhere: {listed(list(map(str, locations)))}; make them the same",
        )
    return locations


def replace_version(location: VersionLocation, version: Version) -> str:
    """Return the text of a file with another version in one of its tables, and nothing else changed."""
    text = location.text.removeprefix(MARK)
    document = tomlkit.parse(text)
    cast("dict[str, str]", document[location.table])["version"] = str(version)
    return location.text[: len(location.text) - len(text)] + tomlkit.dumps(document)


def next_version(current: Version, released: Collection[Version], day: date) -> Version:
    """Return the version to release on a day, YEAR.MINOR.PATCH: a year starts with minor 1, a release adds one to it.

    The version in the files is the next one if it is the newest and was not released; the next one after a pre-release
    is its release.

    Raises:
        PipelineError: there is a version of a later year.
    """
    newest = max({*released, current})
    if newest.major > day.year:
        raise PipelineError(
            Code.VERSION_INVALID, f"{newest} is there, and {day} is before its year; give the day with --date"
        )
    if newest.major < day.year:
        return Version(f"{day.year}.1.0")
    if newest not in released:
        return newest
    if newest.is_prerelease:
        return Version(newest.base_version)
    return Version(f"{newest.major}.{newest.minor + 1}.0")


def check_next(version: Version, current: Version, released: Collection[Version]) -> None:
    """Reject a version that cannot be the next one.

    Raises:
        PipelineError: the version was released before, or is older than the one in the files.
    """
    if version in released:
        raise PipelineError(
            Code.VERSION_INVALID,
            f"{version} was released before: it has a tag or an entry in {changelog.FILE}; give a newer one",
        )
    if version < current:
        raise PipelineError(
            Code.VERSION_INVALID, f"{version} is older than {current}, which {PYPROJECT} has; give a newer one"
        )


def parse_day(day: str) -> date:
    """Parse the day of an option.

    Raises:
        PipelineError: the text is not a day.
    """
    try:
        return date.fromisoformat(day)
    except ValueError as error:
        raise PipelineError(Code.OPTION_CONFLICT, f"--date '{day}' is not a day; write it as 2026-02-28") from error


def explain(version: Version, history: History, files: Collection[str]) -> str:
    """Return the summary of a release: its changes, and the commands to type when they are applied."""
    count = len(history.commits)
    commits = f"{count} commit{'' if count == 1 else 's'} {f'since v{history.last}' if history.last else 'in all'}"
    return (
        f"{version}: {commits}; {', '.join(files)} change, and nothing is pushed. "
        "When the changes are applied and reviewed, type:\n"
        f"  git commit --all --message 'Release {version}'\n"
        f"  git tag --annotate v{version} --message 'Release {version}'\n"
        f"  git push origin HEAD v{version}   # the tag is what publishes\n"
    )


async def release(source: dagger.Directory, version: str | None, day: str | None) -> dagger.Changeset:
    """Prepare a release of a checkout, and print the commands to type when its changes are applied.

    Raises:
        PipelineError: as :func:`prepare` does.
    """
    path = Path(await anyio.to_thread.run_sync(tempfile.mkdtemp))
    await source.export(str(path))
    prepared = prepare(path, version, day)
    print(prepared.summary, flush=True)  # noqa: T201 -- the CLI shows the output of a function
    changed = source
    for file, text in prepared.files.items():
        changed = changed.with_new_file(file, text)
    return changed.changes(source)


def _find(checkout: Path, file: str, name: str) -> VersionLocation | None:
    """Return the version in a table of a file; None if it has none."""
    try:
        text = (checkout / file).read_text(encoding="utf-8")
        table = tomlkit.parse(text.removeprefix(MARK)).get(name, {})
    except FileNotFoundError as error:
        raise PipelineError(Code.VERSION_INVALID, f"{file} is missing, and has the version; add it") from error
    except (TOMLKitError, UnicodeDecodeError) as error:
        raise PipelineError(Code.TOML_INVALID, f"{file} is not valid TOML: {error}; correct it there") from error
    version = table.get("version") if isinstance(table, dict) else None
    if version is None:
        return None
    try:
        return VersionLocation(file, name, text, Version(str(version)))
    except InvalidVersion as error:
        raise PipelineError(
            Code.VERSION_INVALID, f"{file}: key 'version' of [{name}] is '{version}', which is no version; correct it"
        ) from error
