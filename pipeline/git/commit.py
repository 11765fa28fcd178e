"""The commit of a checkout, read from its ``.git`` folder, and the files that differ from that commit."""

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
    """The commit that is checked out."""

    sha: str
    """Commit id: 40 hexadecimal digits."""

    time: datetime
    """Commit time, in UTC."""

    changed: tuple[str, ...]
    """Paths in the checkout that differ from the commit, sorted: changed, new or deleted."""


def read_commit(checkout: Path) -> Commit | None:
    """Return the commit of a checkout in the engine; files that are not uploaded do not count as changed.

    Returns:
        The commit; None in a folder without git, in a git worktree (its history is elsewhere), before the first commit,
        and where references or objects are stored in a format that dulwich cannot read.
    """
    repository = open_repository(checkout)
    if repository is None:
        return None
    with closing(repository):
        head = _head(repository)
        if head is None:
            return None
        return Commit(
            sha=head.id.decode(),
            time=datetime.fromtimestamp(head.commit_time, UTC),
            changed=tuple(sorted(_changed(repository, head, checkout))),
        )


def open_repository(checkout: Path) -> Repo | None:
    """Return the git repository of a checkout; None if it has no ``.git`` folder."""
    if not (checkout / ".git").is_dir():
        return None
    try:
        return Repo(str(checkout))
    except NotGitRepository:
        return None


def _head(repository: Repo) -> GitCommit | None:
    try:
        head = repository[repository.head()]
    # A repository with SHA-256 ids raises it too.
    except KeyError:
        return None
    return head if isinstance(head, GitCommit) else None


def _changed(repository: Repo, commit: GitCommit, checkout: Path) -> Iterator[str]:
    """Yield the paths whose files differ between a checkout and the tree of its commit."""
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
        # Files of a submodule belong to a commit of that submodule.
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
    """Yield the paths of all files and symbolic links except those of git."""
    for folder, folders, files in checkout.walk():
        folders[:] = [name for name in folders if name != ".git"]
        yield from (str((folder / name).relative_to(checkout)) for name in files if name != ".git")


def _entry(file: Path) -> tuple[int, bytes]:
    """Return the mode and the blob id that git would commit for a file."""
    status = file.lstat()
    return cleanup_mode(status.st_mode), blob_from_path_and_stat(os.fsencode(file), status).id


_LEFT_OUT: Final = IgnoreFilter(
    [re.sub(r"^(!?)", r"\1/", pattern).encode() for pattern in LEFT_OUT],
    ignorecase=False,
)


def is_left_out(path: str) -> bool:
    """Whether the upload filter leaves out a path of the checkout, or a folder above it."""
    parts = path.split("/")
    left_out = False
    for depth in range(1, len(parts) + 1):
        # None if no pattern matches: then the path is treated like its folder.
        match = _LEFT_OUT.is_ignored("/".join(parts[:depth]))
        left_out = left_out if match is None else match
    return left_out
