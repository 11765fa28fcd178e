from datetime import date
from pathlib import Path

import pytest
from dulwich import porcelain
from packaging.version import Version

from pipeline.errors import Code
from pipeline.git.history import read_history
from tests.unit.refusals import refused
from tests.unit.repository import AUTHOR, Repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository with a release and two commits since."""
    made = Repository(tmp_path / "repository")
    for number, message in enumerate(["Begin", "Add\n\nAt length.", "  Correct a fault\n"]):
        made.write("file", f"{number}\n")
        made.commit(message)
        if number == 0:
            made.tag("v2026.1.0")
    return made


def test_commits_since_the_last_release(repository: Repository) -> None:
    """Subjects alone, oldest first, up to the tag; the day is that of the newest."""
    history = read_history(repository.path)
    assert history.commits == ("Add", "Correct a fault")
    assert history.last == Version("2026.1.0")
    assert history.day == date(2026, 2, 3)


def test_the_engine_has_enough(repository: Repository, tmp_path: Path) -> None:
    """Nothing of .git is needed that the engine is not given."""
    assert read_history(repository.exported(tmp_path / "exported")) == read_history(repository.path)


def test_packed_and_annotated_tags_count(repository: Repository) -> None:
    """A tag with a message, in git's packed file, is a tag; one that is no version is none."""
    repository.tag("2026.02.0", annotated=True)
    repository.tag("nightly")
    repository.write("file", "more\n")
    repository.commit("More")
    porcelain.pack_refs(repository.path, all=True)
    history = read_history(repository.path)
    assert (history.last, history.commits) == (Version("2026.2.0"), ("More",))
    assert history.tagged == (Version("2026.1.0"), Version("2026.2.0"))


def test_a_release_of_another_branch_is_known_and_not_the_last(repository: Repository) -> None:
    """Commits are not counted from a tag that is no ancestor, but its version is taken."""
    porcelain.branch_create(repository.path, "next")
    repository.write("file", "more\n")
    repository.commit("More")
    repository.tag("v2026.2.0")
    porcelain.checkout(repository.path, "next")
    history = read_history(repository.path)
    assert history.last == Version("2026.1.0")
    assert Version("2026.2.0") in history.tagged
    assert "More" not in history.commits


def test_merges_are_left_out(repository: Repository) -> None:
    """A merge brings the commits of its branch, and is none of its own."""
    base = porcelain.active_branch(repository.path)
    porcelain.branch_create(repository.path, "topic")
    repository.write("other", "x\n")
    repository.commit("On the base")
    porcelain.checkout(repository.path, "topic")
    repository.write("topic", "x\n")
    repository.commit("On the topic")
    porcelain.checkout(repository.path, base)
    porcelain.merge(repository.path, "topic", message=b"Merge topic", author=AUTHOR, committer=AUTHOR)
    commits = read_history(repository.path).commits
    assert set(commits) == {"Add", "Correct a fault", "On the base", "On the topic"}


def test_without_a_release_all_commits_count(tmp_path: Path) -> None:
    """The first release is about everything."""
    repository = Repository(tmp_path / "repository")
    repository.write("file", "x\n")
    repository.commit("Begin")
    history = read_history(repository.path)
    assert (history.last, history.commits) == (None, ("Begin",))


def test_a_shallow_clone_is_refused(repository: Repository) -> None:
    """Commits that the clone does not have would be missing from the entry."""
    repository.make_shallow()
    with refused(Code.HISTORY_MISSING, "shallow", "'git fetch --unshallow --tags'"):
        read_history(repository.path)


def test_a_shallow_clone_that_reaches_the_release_will_do(repository: Repository) -> None:
    """Nothing is missing where the tag is the edge of the clone."""
    repository.tag("v2026.2.0")
    repository.make_shallow()
    history = read_history(repository.path)
    assert (history.last, history.commits) == (Version("2026.2.0"), ())


def test_a_folder_without_history_is_refused(tmp_path: Path) -> None:
    """A plain folder or a worktree is, and a repository without a commit too."""
    with refused(Code.HISTORY_MISSING, "no .git folder", "clone"):
        read_history(tmp_path)
    Repository(tmp_path)
    with refused(Code.HISTORY_MISSING, "no commit"):
        read_history(tmp_path)
