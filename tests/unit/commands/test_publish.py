"""A run of `publish`: what it asks registries before it builds, and what it notes."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar
from unittest.mock import Mock

import pytest

import pipeline.commands.publish
from pipeline.checkout import Checkout
from pipeline.commands.publish import Publisher, _notes
from pipeline.config.settings import Settings, load_settings
from pipeline.credentials.registry_auth import Login
from pipeline.publishing.state import Publication, RepositoryState
from pipeline.publishing.tag_policy import plan
from pipeline.registry.client import Destination
from pipeline.scripts.messages import Origin, RepositoryReport

SETTINGS = Settings(registries=("ghcr.io/lab", "docker.io/lab"))


class FakeRegistry:
    """A registry in which another commit has two tags of the same digits; it remembers what it was asked for."""

    TAKEN: ClassVar = {"sha-0123456": "0123456f" + "0" * 32, "sha-01234567": "01234567f" + "0" * 31}
    asked: ClassVar[list[list[str]]] = []

    def __init__(self, settings: Settings) -> None:
        del settings

    async def ask(
        self, to: Destination, immutable: Sequence[str], floating: Sequence[str], *, writes: bool
    ) -> RepositoryReport:
        """Report the tags, and what is private."""
        del to, floating, writes
        self.asked.append(list(immutable))
        there = [tag for tag in immutable if tag in self.TAKEN]
        return RepositoryReport(
            tags=list(self.TAKEN),
            digests=dict.fromkeys(there, "sha256:other"),
            origins={tag: Origin(self.TAKEN[tag], "") for tag in there},
            private="it answered 401",
        )


@pytest.mark.asyncio
async def test_a_tag_that_another_commit_has_is_lengthened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every registry is asked again for the longer one, until nobody else has it; the report notes it."""
    monkeypatch.setattr(pipeline.commands.publish, "Registry", FakeRegistry)
    monkeypatch.setattr(FakeRegistry, "asked", [])
    commit = "0123456789abcdef0123456789abcdef01234567"
    states = [RepositoryState(Destination(f"{host}/lab/small", Login("me"))) for host in ("ghcr.io", "docker.io")]
    publication = Publication("small", plan("main", commit), states, commit=commit)
    checkout = Checkout(Mock(), Path(), SETTINGS)
    published = await Publisher(checkout, "main", [publication], "nobody").run(dry_run=True)
    assert FakeRegistry.asked == [["sha-0123456"]] * 2 + [["sha-01234567"]] * 2 + [["sha-012345678"]] * 2
    assert {(row.tag, row.result) for row in published.rows} == {("sha-012345678", "to push"), ("latest", "to push")}
    assert [note.partition(" ")[0] for note in published.notes] == [
        *("sha-0123456", "sha-01234567"),
        *("ghcr.io/lab/small", "docker.io/lab/small"),
        "labels",
    ]


def test_a_repository_that_is_not_named_is_noted() -> None:
    """Neither labels nor provenance can name it then; this repository is named."""
    (note,) = _notes(SETTINGS)
    assert note.startswith("labels and provenance name no repository; set 'source' in pyproject.toml [tool.pipeline], ")
    assert _notes(load_settings(Path(__file__).parents[3])) == []
