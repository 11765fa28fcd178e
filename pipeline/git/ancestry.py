"""Order of two commits by the history of a checkout: by parents alone, never by clocks."""

import enum
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from dulwich.objects import Commit, ObjectID
from dulwich.repo import Repo

from pipeline.git.commit import open_repository


class Order(enum.Enum):
    """Place of a commit in the history, compared with another one."""

    SAME = "same"
    NEWER = "newer"
    """The other one is among its ancestors."""
    OLDER = "older"
    """It is among the ancestors of the other one."""
    DIVERGED = "diverged"
    """Neither is an ancestor of the other one."""
    UNKNOWN = "unknown"
    """The checkout has not enough of the history to say."""


def ancestry(repository: Repo, sha: ObjectID) -> Iterator[tuple[ObjectID, Commit]]:
    """Yield a commit and all of its ancestors that the clone contains, near ones first.

    Raises:
        KeyError: an object is missing where the clone is not cut off.
    """
    # dulwich's own search for an ancestor stops at commits that are dated earlier, and so believes clocks.
    seen: set[ObjectID] = set()
    waiting = deque([sha])
    while waiting:
        current = waiting.popleft()
        if current not in seen and isinstance(commit := repository[current], Commit):
            seen.add(current)
            yield current, commit
            waiting += repository.get_parents(current, commit)


def compare_commits(checkout: Path, commit: str, other: str) -> Order:
    """Return the place of a commit compared with another one.

    Args:
        checkout: a checkout with a ``.git`` folder, which may be shallow or lack the other commit.
        commit: id of a commit, 40 hexadecimal digits.
        other: the same of the other one.
    """
    if commit == other:
        return Order.SAME
    repository = open_repository(checkout)
    if repository is None:
        return Order.UNKNOWN
    with closing(repository):
        ours, theirs = ObjectID(commit.encode()), ObjectID(other.encode())
        try:
            if any(sha == theirs for sha, _ in ancestry(repository, ours)):
                return Order.NEWER
            if any(sha == ours for sha, _ in ancestry(repository, theirs)):
                return Order.OLDER
        # The clone has no such commit, or its objects are elsewhere; or the id is none.
        except (KeyError, ValueError, OSError):
            return Order.UNKNOWN
        return Order.UNKNOWN if repository.get_shallow() else Order.DIVERGED
