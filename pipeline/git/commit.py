"""The commit of a checkout, read from its ``.git`` folder, and the files that differ from that commit.

A file counts if an image is made of it: the files in the image's folder, the settings, and this module's own source.
"""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

from dulwich.errors import NotGitRepository
from dulwich.ignore import Pattern
from dulwich.index import blob_from_path_and_stat, cleanup_mode
from dulwich.objects import S_ISGITLINK
from dulwich.objects import Commit as GitCommit
from dulwich.repo import Repo

from pipeline.config.settings import OWN_FILE, PROJECT
from pipeline.git.upload_filter import LEFT_OUT

#: Files and folders that every image is made of: the settings, the digests of tool images, and this module's source.
SHARED: Final = frozenset({OWN_FILE.name, PROJECT.name, "tools.lock", "dagger.json", "requirements.lock", "pipeline"})


@dataclass(frozen=True)
class Commit:
    """The commit that is checked out."""

    sha: str
    """Commit id: 40 hexadecimal digits."""

    time: datetime
    """Commit time, in UTC."""

    changed: tuple[str, ...]
    """Paths that differ from the commit, sorted: changed, new or deleted. Others than those of images do not count."""

    @property
    def revision(self) -> str:
        """Its id, for what is made of the checkout; empty if that is of no commit, because of changes."""
        return "" if self.changed else self.sha

    def of(self, images: Iterable[str]) -> Self:
        """Return the commit with the changes that concern these images."""
        return replace(self, changed=tuple(path for path in self.changed if _top(path) in SHARED.union(images)))


def read_commit(checkout: Path, images: Iterable[str]) -> Commit | None:
    """Return the commit of a checkout in the engine.

    A file in an image's folder counts even if git ignores it: a Dockerfile copies it all the same. Files that the
    upload filter leaves out do not count.

    Args:
        checkout: the checkout.
        images: names of its images.

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
            changed=tuple(sorted(_changed(repository, head, checkout, SHARED.union(images)))),
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


def _changed(repository: Repo, commit: GitCommit, checkout: Path, names: frozenset[str]) -> Iterator[str]:
    """Yield the paths below some names whose files differ between a checkout and the tree of its commit."""
    committed: dict[str, tuple[int, bytes]] = {}
    modules: list[str] = []
    for entry in repository.object_store.iter_tree_contents(commit.tree):
        path = os.fsdecode(entry.path)
        if S_ISGITLINK(entry.mode):
            modules.append(f"{path}/")
        elif _top(path) in names and not is_left_out(path):
            committed[path] = (entry.mode, entry.sha)
    for path in _files(checkout, names):
        # Files of a submodule belong to a commit of that submodule.
        if not path.startswith(tuple(modules)) and committed.pop(path, None) != _entry(checkout / path):
            yield path
    yield from committed


def _top(path: str) -> str:
    return path.partition("/")[0]


def _files(checkout: Path, names: Iterable[str]) -> Iterator[str]:
    """Yield the paths of uploaded files and symbolic links, among and below some names."""
    for name in names:
        if (checkout / name).is_symlink() or (checkout / name).is_file():
            yield name
            continue
        for folder, folders, files in (checkout / name).walk():
            inside = folder.relative_to(checkout)
            folders[:] = [each for each in folders if not is_left_out(str(inside / each))]
            yield from (path for each in files if not is_left_out(path := str(inside / each)))


def _entry(file: Path) -> tuple[int, bytes]:
    """Return the mode and the blob id that git would commit for a file."""
    status = file.lstat()
    return cleanup_mode(status.st_mode), blob_from_path_and_stat(os.fsencode(file), status).id


_LEFT_OUT: Final = [Pattern(re.sub(r"^(!?)", r"\1/", pattern).encode()) for pattern in LEFT_OUT]


def is_left_out(path: str) -> bool:
    """Whether the upload filter leaves out a path of the checkout, or a folder above it."""
    parts = os.fsencode(path).split(b"/")
    paths = [b"/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
    left_out = False
    for pattern in _LEFT_OUT:
        if any(map(pattern.match, paths)):
            left_out = pattern.is_exclude
    return left_out
