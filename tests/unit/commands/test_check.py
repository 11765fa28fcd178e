from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pipeline.commands.check import describe_changes, required_labels
from pipeline.config.image_toml import ImageSpec
from pipeline.config.settings import Settings
from pipeline.git.commit import Commit
from tests.unit.conftest import CheckoutFolder

CLEAN = Commit("ab" * 20, datetime(2026, 2, 3, tzinfo=UTC), ())
CHANGED = replace(CLEAN, changed=("small/a", "small/b", "small/c", "small/d"))
ALWAYS = {"title", "description", "base.name"}


@pytest.mark.parametrize(
    ("commit", "labels"),
    [(None, set()), (CLEAN, {"created", "revision"}), (CHANGED, {"created"})],
)
def test_the_commit_decides_which_labels_are_required(
    checkout: CheckoutFolder, commit: Commit | None, labels: set[str]
) -> None:
    """An image with uncommitted changes has no revision, so its label is not missing."""
    source = replace(checkout.source(ImageSpec(description="x")), commit=commit)
    assert set(required_labels(source)) == ALWAYS | labels


def test_known_facts_require_their_labels(checkout: CheckoutFolder) -> None:
    """Settings give labels to each image; a Dockerfile's base image is not known."""
    settings = Settings(source="https://example.org", licenses="MIT")
    source = checkout.source(ImageSpec(description="x", dockerfile="Dockerfile"), settings)
    assert set(required_labels(source)) == {"title", "description", "source", "licenses"}


def test_uncommitted_changes_are_reported() -> None:
    """The check passes, and its line names the paths."""
    assert describe_changes(None) == describe_changes(CLEAN) == ""
    assert describe_changes(CHANGED).endswith("these are not committed: small/a; small/b; small/c; and 1 more")
