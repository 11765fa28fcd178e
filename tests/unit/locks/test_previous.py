import shutil
from pathlib import Path

import pytest

from pipeline.errors import Code, PreviousLockError
from pipeline.locks import base_images
from pipeline.locks.previous import committed_lock, is_published, previous_digests
from tests.unit.refusals import refused
from tests.unit.repository import Repository

MISSING = Code.PREVIOUS_LOCK_MISSING


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
    made.write(".git/refs/heads/renovate/numpy@2.x", f"{first}\n")
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
        ("renovate/numpy@2.x", "one\n"),
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
def test_an_unknown_commit_is_refused(repository: Repository, tmp_path: Path, reference: str) -> None:
    """The message has the reference, and the other ways to name a lock."""
    with refused(MISSING, f"commit, branch or tag '{reference}'", "published image", kind=PreviousLockError):
        committed_lock(repository.exported(tmp_path / "copy"), "small", reference)


@pytest.mark.parametrize("reference", ["HEAD@{1}", "first@{yesterday}", "HEAD@{2026-01-01 12:00}", "HEAD^{/First: x}"])
def test_what_git_alone_can_look_up_is_refused(repository: Repository, tmp_path: Path, reference: str) -> None:
    """The logs of git are not uploaded: the message has the command that finds the commit."""
    copy = repository.exported(tmp_path / "copy")
    shutil.rmtree(copy / ".git/logs", ignore_errors=True)
    with refused(MISSING, f"'{reference}'", f"git rev-parse '{reference}'", kind=PreviousLockError):
        committed_lock(copy, "small", reference)


@pytest.mark.parametrize(
    ("reference", "published"),
    [
        ("ghcr.io/maniaclab/ml-platform:2026.2.0", True),
        ("localhost:5000/small", True),
        (f"ghcr.io/maniaclab/ml-platform@sha256:{'0' * 64}", True),
        ("renovate/numpy@2.x", False),
        ("HEAD@{1}", False),
        ("main@{2026-01-01 12:00:00}", False),
        ("HEAD^{/Fix: x}", False),
        (":/Fix", False),
        ("main", False),
    ],
)
def test_a_published_image_is_known_by_its_colon(reference: str, *, published: bool) -> None:
    """No name of a branch can have one."""
    assert is_published(reference) is published


def test_a_misspelt_branch_is_refused_with_the_nearest(repository: Repository, tmp_path: Path) -> None:
    """The next try is right."""
    with refused(MISSING, "'frist'", "'first'", "published image", kind=PreviousLockError):
        committed_lock(repository.exported(tmp_path / "copy"), "small", "frist")


def test_a_commit_that_a_shallow_clone_lacks_is_refused(repository: Repository, tmp_path: Path) -> None:
    """CI clones the newest commit alone: the message has the command that gets the others."""
    repository.make_shallow()
    with refused(MISSING, "'v1'", "git fetch --unshallow", kind=PreviousLockError):
        committed_lock(repository.exported(tmp_path / "copy"), "small", "v1")


def test_a_commit_without_the_lock_is_refused(repository: Repository, tmp_path: Path) -> None:
    """The image is newer than the commit; the message has its id."""
    first = (repository.path / ".git/refs/heads/first").read_text()[:7]
    with refused(MISSING, f"commit {first}", "'first'", "other/pixi.lock", kind=PreviousLockError):
        committed_lock(repository.exported(tmp_path / "copy"), "other", "first")


def test_a_checkout_without_history_is_refused(tmp_path: Path) -> None:
    """A downloaded archive has no commits."""
    with refused(MISSING, "no folder .git", "'HEAD'", "published image", kind=PreviousLockError):
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
