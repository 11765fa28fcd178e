"""Repositories that an image is published to, and the commit that it is of."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar
from unittest.mock import Mock

import pytest

import pipeline.commands.publish
from pipeline.checkout import Checkout
from pipeline.commands.publish import Publisher, _notes, published_commit, repositories
from pipeline.config.image_toml import ImageSpec, load_spec
from pipeline.config.settings import Settings, load_settings
from pipeline.credentials.registry_auth import Login
from pipeline.errors import Code
from pipeline.git.commit import Commit
from pipeline.publishing.state import Publication, RepositoryState
from pipeline.publishing.tag_policy import plan
from pipeline.registry.client import Destination
from pipeline.scripts.messages import Origin, RepositoryReport
from tests.unit.refusals import refused

SETTINGS = Settings(registries=("ghcr.io/lab", "docker.io/lab"))
PLAIN = ImageSpec(description="d")
OWN = ImageSpec(description="d", repositories=("quay.io/else/where",))


@pytest.mark.parametrize(
    ("spec", "given", "found"),
    [
        (PLAIN, [], ["ghcr.io/lab/small", "docker.io/lab/small"]),
        (OWN, [], ["quay.io/else/where"]),
        (OWN, ["localhost:5000/try"], ["localhost:5000/try/small"]),
    ],
)
def test_repositories(spec: ImageSpec, given: list[str], found: list[str]) -> None:
    """An option overrides the image's repositories, and those override the settings of all images."""
    assert repositories("small", spec, SETTINGS, given) == found


def test_the_lab_s_images_keep_their_names() -> None:
    """ml_platform is where the lab has always had it; columnar is below the lab's own paths."""
    root = Path(__file__).parents[3]
    found = {
        name: repositories(name, load_spec(root, name), load_settings(root), []) for name in ("ml_platform", "columnar")
    }
    assert found == {
        "ml_platform": [
            "ghcr.io/maniaclab/ml-platform",
            "docker.io/ivukotic/ml_platform",
            "hub.opensciencegrid.org/usatlas/ml-platform",
        ],
        "columnar": [
            "ghcr.io/maniaclab/columnar",
            "docker.io/maniaclab/columnar",
            "hub.opensciencegrid.org/maniaclab/columnar",
        ],
    }


@pytest.mark.parametrize(
    ("image", "given", "repository"),
    [
        ("Small", [], "ghcr.io/lab/Small"),
        ("small", ["ghcr.io/Lab"], "ghcr.io/Lab/small"),
        ("small", ["https://ghcr.io/lab"], "https://ghcr.io/lab/small"),
    ],
)
def test_an_invalid_repository_is_refused(image: str, given: list[str], repository: str) -> None:
    """No registry is asked before, and nothing built."""
    with refused(Code.REPOSITORY_INVALID, f"'{repository}'", "lower case", "--registries ghcr.io/lab"):
        repositories(image, PLAIN, SETTINGS, given)


@pytest.mark.parametrize(("given", "known"), [(None, True), ("ABCDEF0", True), ("1234567", False)])
def test_the_commit_is_that_of_the_checkout(given: str | None, *, known: bool) -> None:
    """Of a commit that a person names, and that the checkout is not at, nobody knows time and history."""
    found = Commit("abcdef0" + "0" * 33, datetime(2026, 2, 1, tzinfo=UTC), ())
    assert published_commit(found, given) == (found if known else None)
    assert published_commit(None, given) is None


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
