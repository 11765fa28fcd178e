"""CHANGELOG.md in the format of Keep a Changelog: list its versions, and release its unreleased changes."""

import re
from collections.abc import Sequence
from datetime import date
from typing import Final

from packaging.version import Version

from pipeline.errors import Code, PipelineError, TagError
from pipeline.git.versions import parse_version

FILE: Final = "CHANGELOG.md"
_HEADING: Final = re.compile(r"^##[ \t]+(?P<bracket>\[?)(?P<name>[^\]\s]+)", re.MULTILINE)
_UNRELEASED: Final = "unreleased"
#: Characters with a meaning in Markdown.
_MARKUP: Final = re.compile(r"([\\*_<\[\]])")


def versions(text: str) -> list[Version]:
    """Return the versions that a changelog has an entry for."""
    parsed = []
    for heading in _HEADING.finditer(text):
        try:
            parsed.append(parse_version(heading["name"]))
        except TagError:
            continue
    return parsed


def with_release(text: str, version: Version, day: date, commits: Sequence[str]) -> str:
    """Return the changelog with its unreleased changes under a version, and the commits that they do not mention.

    Args:
        text: the changelog.
        version: version of the release.
        day: date of the release.
        commits: subjects of its commits, in the order to list them.

    Raises:
        PipelineError: the changelog has no heading for unreleased changes.
    """
    headings = list(_HEADING.finditer(text))
    waiting = next((heading for heading in headings if heading["name"].lower() == _UNRELEASED), None)
    if waiting is None:
        raise PipelineError(
            Code.CHANGELOG_INVALID,
            f"{FILE} has no heading '## Unreleased', under which changes wait; add it above the newest one",
        )
    start = text.find("\n", waiting.start()) + 1 or len(text)
    end = next((heading.start() for heading in headings if heading.start() > waiting.start()), len(text))
    written, rest = text[start:end].strip("\n"), text[end:]
    title = f"## [{version}]" if waiting["bracket"] else f"## {version}"
    parts = [f"{title} - {day:%Y-%m-%d}", written, _listed(unmentioned(written, commits))]
    entry = "\n\n".join(part for part in parts if part)
    return f"{text[:start].rstrip('\n')}\n\n{entry}\n" + (f"\n{rest}" if rest else "")


def unmentioned(written: str, commits: Sequence[str]) -> list[str]:
    """Return the subjects of commits that an entry does not mention, without duplicates."""
    known = _plain(written)
    return [subject for subject in dict.fromkeys(commits) if _plain(subject) not in known]


def _listed(subjects: list[str]) -> str:
    return "\n".join(["### Commits", *(f"- {_escaped(subject)}" for subject in subjects)]) if subjects else ""


def _plain(text: str) -> str:
    """Return the words of a text in lower case, so that punctuation and markup make no difference."""
    return f" {' '.join(re.findall(r'\w+', text.lower()))} "


def _escaped(subject: str) -> str:
    """Escape a subject for Markdown; text between backticks stays as it is."""
    parts = subject.split("`")
    if len(parts) % 2 == 0:
        return _MARKUP.sub(r"\\\1", subject.replace("`", "'"))
    return "`".join(part if index % 2 else _MARKUP.sub(r"\\\1", part) for index, part in enumerate(parts))
