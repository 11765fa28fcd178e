"""Order of commits by their parents, whatever their clocks say."""

from pathlib import Path

import pytest
from dulwich import porcelain

from pipeline.git.ancestry import Order, compare_commits
from tests.unit.repository import TIME, Repository

YEAR = 365 * 24 * 3600


class Line:
    """A repository with three commits after one another, the second one at a time of its own."""

    def __init__(self, path: Path, middle: int | None) -> None:
        self.repository = Repository(path)
        self.commits = [self.add("first"), self.add("second", middle), self.add("third")]

    def add(self, text: str, time: int | None = None) -> str:
        """A commit."""
        self.repository.write("file", text)
        return self.repository.commit(text, time)

    def order(self, ours: str, other: str) -> Order:
        """The order of two commits, as the engine is given the repository."""
        target = self.repository.path.with_name(f"exported-{ours[:7]}-{other[:7]}")
        return compare_commits(self.repository.exported(target), ours, other)


@pytest.fixture(params=[None, TIME + YEAR, TIME - YEAR], ids=["in order", "next year", "last year"])
def line(tmp_path: Path, request: pytest.FixtureRequest) -> Line:
    """Three commits; the clock of the second one is right, fast or slow by a year."""
    return Line(tmp_path / "repository", request.param)


def test_parents_decide(line: Line) -> None:
    """A commit is newer than all of its ancestors, whenever they say that they were made."""
    first, second, third = line.commits
    assert [line.order(third, other) for other in (first, second, third)] == [Order.NEWER, Order.NEWER, Order.SAME]
    assert [line.order(first, other) for other in (second, third)] == [Order.OLDER, Order.OLDER]


def test_branches_have_no_order(tmp_path: Path) -> None:
    """Of two commits on branches, neither is newer."""
    line = Line(tmp_path / "repository", None)
    porcelain.branch_create(line.repository.path, "next", line.commits[1])
    porcelain.checkout(line.repository.path, "next")
    other = line.add("other")
    assert [line.order(other, line.commits[2]), line.order(line.commits[2], other)] == [Order.DIVERGED] * 2
    assert line.order(other, line.commits[1]) is Order.NEWER


@pytest.mark.parametrize("other", ["f" * 40, "", "none", "a" * 64])
def test_a_commit_that_is_not_there_has_no_order(tmp_path: Path, other: str) -> None:
    """It is of another repository or an unknown branch; a label may also hold anything else."""
    line = Line(tmp_path / "repository", None)
    assert line.order(line.commits[2], other) is Order.UNKNOWN


def test_a_shallow_clone_knows_no_order(tmp_path: Path) -> None:
    """Its history ends before the other commit; without .git there is none at all."""
    line = Line(tmp_path / "repository", None)
    line.repository.make_shallow()
    assert line.order(line.commits[2], line.commits[0]) is Order.UNKNOWN
    assert compare_commits(tmp_path, line.commits[2], line.commits[0]) is Order.UNKNOWN


def test_branches_of_a_shallow_clone_may_be_one(tmp_path: Path) -> None:
    """Both commits are there, and what was between them is not."""
    line = Line(tmp_path / "repository", None)
    path = line.repository.path
    (path / ".git/shallow").write_text(f"{line.commits[2]}\n")
    assert line.order(line.commits[2], line.commits[0]) is Order.UNKNOWN
