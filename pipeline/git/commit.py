"""The commit that a checkout is at, from its ``.git`` folder, and what of its files differs from that commit."""

import os
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from dulwich.errors import NotGitRepository
from dulwich.ignore import IgnoreFilter, IgnoreFilterManager
from dulwich.index import blob_from_path_and_stat, cleanup_mode
from dulwich.objects import S_ISGITLINK
from dulwich.objects import Commit as GitCommit
from dulwich.repo import Repo

from pipeline.git.upload_filter import LEFT_OUT


@dataclass(frozen=True)
class Commit:
    """The commit that a checkout is at."""

    sha: str
    """Its id: 40 hexadecimal digits."""

    time: datetime
    """When it was committed, in UTC."""

    changed: tuple[str, ...]
    """The paths of the checkout that differ from it, sorted: changed, new or deleted."""


def read_commit(checkout: Path) -> Commit | None:
    """The commit of a checkout as the engine has it, so without what is left out of it on purpose.

    There is none in a plain folder, in a git worktree (its history is elsewhere), before the first commit, and where
    git keeps its references or objects in a way of its own.
    """
    repository = open_repository(checkout)
    if repository is None:
        return None
    with closing(repository):
        found = _head(repository)
        if found is None:
            return None
        return Commit(
            sha=found.id.decode(),
            time=datetime.fromtimestamp(found.commit_time, UTC),
            changed=tuple(sorted(_changed(repository, found, checkout))),
        )


def open_repository(checkout: Path) -> Repo | None:
    """The git repository of a checkout; None where it has no ``.git`` folder."""
    if not (checkout / ".git").is_dir():
        return None
    try:
        return Repo(str(checkout))
    except NotGitRepository:
        return None


def _head(repository: Repo) -> GitCommit | None:
    try:
        found = repository[repository.head()]
    # None of an object's id either, where ids are longer than 40 digits.
    except KeyError:
        return None
    return found if isinstance(found, GitCommit) else None


def _changed(repository: Repo, commit: GitCommit, checkout: Path) -> Iterator[str]:
    """The paths where the files of a checkout and the tree of its commit differ."""
    committed: dict[str, tuple[int, bytes]] = {}
    modules: list[str] = []
    for entry in repository.object_store.iter_tree_contents(commit.tree):
        path = os.fsdecode(entry.path)
        if S_ISGITLINK(entry.mode):
            modules.append(f"{path}/")
        else:
            committed[path] = (entry.mode, entry.sha)
    ignored = IgnoreFilterManager(str(checkout), [], ignorecase=False)
    for path in _files(checkout):
        # What a submodule holds, its own commit says.
        if path.startswith(tuple(modules)):
            continue
        known = committed.pop(path, None)
        if known is None:
            if not ignored.is_ignored(path):
                yield path
        elif known != _entry(checkout / path):
            yield path
    yield from (path for path in committed if not is_left_out(path))


def _files(checkout: Path) -> Iterator[str]:
    """The paths of all files and symbolic links, without those of git."""
    for folder, folders, files in checkout.walk():
        folders[:] = [name for name in folders if name != ".git"]
        yield from (str((folder / name).relative_to(checkout)) for name in files if name != ".git")


def _entry(file: Path) -> tuple[int, bytes]:
    """How git would commit a file: its mode and the id of its content."""
    status = file.lstat()
    return cleanup_mode(status.st_mode), blob_from_path_and_stat(os.fsencode(file), status).id


_LEFT_OUT: Final = IgnoreFilter(
    [re.sub(r"^(!?)", r"\1/", pattern).encode() for pattern in LEFT_OUT],
    ignorecase=False,
)


def is_left_out(path: str) -> bool:
    """Whether the engine is not given a path of the checkout, since the path or a folder above it is left out."""
    parts = path.split("/")
    left_out = False
    for depth in range(1, len(parts) + 1):
        # None where no pattern is about it: then it is as the folder that it is in.
        said = _LEFT_OUT.is_ignored("/".join(parts[:depth]))
        left_out = left_out if said is None else said
    return left_out
