"""Repositories that an image is published to, and the commit that it is of."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.config.image_toml import ImageSpec, load_spec
from pipeline.config.settings import Settings, load_settings
from pipeline.errors import Code
from pipeline.git.commit import Commit
from pipeline.publishing.repositories import published_commit, repositories
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
