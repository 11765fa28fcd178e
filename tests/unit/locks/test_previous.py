from pathlib import Path

import pytest

from pipeline.errors import PreviousLockError
from pipeline.locks import base_images
from pipeline.locks.previous import committed_lock, previous_digests
from tests.unit.repository import Repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository in which the lock of `small` was changed since the tag v1, and which knows a remote branch."""
    made = Repository(tmp_path / "repository")
    made.write("small/pixi.lock", "one\n")
    first = made.commit("First")
    made.tag("v1")
    made.tag("v1-annotated", annotated=True)
    made.write("small/pixi.lock", "two\n")
    made.commit("Second")
    made.write(".git/refs/remotes/origin/renovate/numpy", f"{first}\n")
    made.write(".git/refs/heads/first", f"{first}\n")
    made.write("small/pixi.lock", "not committed\n")
    return made


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        ("HEAD", "two\n"),
        ("HEAD~1", "one\n"),
        ("first", "one\n"),
        ("refs/heads/first", "one\n"),
        ("v1", "one\n"),
        ("v1-annotated", "one\n"),
        ("origin/renovate/numpy", "one\n"),
    ],
)
def test_a_commit_is_found_by_its_names(repository: Repository, tmp_path: Path, reference: str, text: str) -> None:
    """Branches, tags of both kinds, remote branches and what git counts from them."""
    assert committed_lock(repository.exported(tmp_path / "copy"), "small", reference) == text.encode()


def test_a_commit_is_found_by_its_id(repository: Repository, tmp_path: Path) -> None:
    """Whole, or its first digits."""
    copy = repository.exported(tmp_path / "copy")
    sha = (copy / ".git/refs/tags/v1").read_text().strip()
    assert committed_lock(copy, "small", sha) == committed_lock(copy, "small", sha[:8]) == b"one\n"


@pytest.mark.parametrize("reference", ["frist", "HEAD~7", "", "é", "..", "0" * 40])
def test_an_unknown_commit_is_told(repository: Repository, tmp_path: Path, reference: str) -> None:
    """With the name that was meant, or all that there are, and the other ways to name a lock."""
    with pytest.raises(PreviousLockError, match=rf"^there is no commit, branch or tag '{reference}' in the checkout; "):
        committed_lock(repository.exported(tmp_path / "copy"), "small", reference)


def test_a_misspelt_branch_is_told_with_the_nearest(repository: Repository, tmp_path: Path) -> None:
    """So that the next try is right."""
    with pytest.raises(PreviousLockError, match=r"did you mean 'first'\?; a published image"):
        committed_lock(repository.exported(tmp_path / "copy"), "small", "frist")


def test_a_commit_that_a_shallow_clone_lacks_is_told(repository: Repository, tmp_path: Path) -> None:
    """CI clones the newest commit alone: how to get the others is said."""
    repository.make_shallow()
    with pytest.raises(PreviousLockError, match="git fetch --unshallow"):
        committed_lock(repository.exported(tmp_path / "copy"), "small", "v1")


def test_a_commit_without_the_lock_is_told(repository: Repository, tmp_path: Path) -> None:
    """An image that is newer than the commit."""
    with pytest.raises(PreviousLockError, match=r"^commit \w{7}, which is 'HEAD', has no other/pixi\.lock; "):
        committed_lock(repository.exported(tmp_path / "copy"), "other", "HEAD")


def test_a_checkout_without_history_is_told(tmp_path: Path) -> None:
    """A downloaded archive has no commits."""
    with pytest.raises(PreviousLockError, match=r"^the checkout has no folder \.git to look up 'HEAD' in"):
        committed_lock(tmp_path, "small", "HEAD")


def test_base_images_of_a_commit_are_found(repository: Repository, tmp_path: Path) -> None:
    """As the commit has them: none before they were locked, and nobody knows which where the lock is of no commit."""
    digests = {"debian:12": f"sha256:{'1' * 64}"}
    repository.write("small/base.lock", base_images.write("small", digests))
    repository.commit("Pin")
    copy = repository.exported(tmp_path / "copy")
    assert previous_digests(copy, "small", "HEAD", None) == digests
    assert previous_digests(copy, "small", "v1", None) == {}
    assert previous_digests(copy, "small", "ghcr.io/maniaclab/small:1", None) is None
