"""A git repository in a temporary folder, to commit and release in."""

import shutil
from pathlib import Path

from dulwich import porcelain
from dulwich.repo import Repo

AUTHOR = b"A <a@example.org>"
#: Seconds: 2026-02-03 04:05:06 in UTC.
TIME = 1770091506


class Repository:
    """A repository whose commits are made by nobody else, an hour apart."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.commits = 0
        porcelain.init(path).close()

    def write(self, name: str, text: str) -> None:
        """Write a file, and the folders on the way to it."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def commit(self, message: str, time: int | None = None) -> str:
        """Commit all files as they are, an hour after the last commit or at a time, and return the commit's id."""
        porcelain.add(self.path)
        sha = porcelain.commit(
            self.path,
            message.encode(),
            author=AUTHOR,
            committer=AUTHOR,
            commit_timestamp=TIME + 3600 * self.commits if time is None else time,
            commit_timezone=0,
            author_timestamp=TIME,
            author_timezone=0,
            all=True,
        )
        self.commits += 1
        return sha.decode()

    def tag(self, name: str, *, annotated: bool = False) -> None:
        """Tag the newest commit."""
        porcelain.tag_create(self.path, name, AUTHOR, b"A release", annotated=annotated, tag_time=TIME, tag_timezone=0)

    def make_shallow(self) -> None:
        """Forget all commits but the newest, as in a clone of depth 1."""
        with Repo(str(self.path)) as repository:
            head = repository.head()
            older = [entry.commit.id for entry in repository.get_walker() if entry.commit.id != head]
        for sha in map(bytes.decode, older):
            (self.path / ".git/objects" / sha[:2] / sha[2:]).unlink()
        (self.path / ".git/shallow").write_bytes(head + b"\n")

    def exported(self, target: Path, *left_out: str) -> Path:
        """A copy, as the engine hands it to a function: without what git keeps for itself alone, and some paths."""
        skipped = {".git/config", ".git/index", ".git/hooks", ".git/info", *left_out}

        def ignore(folder: str, names: list[str]) -> list[str]:
            return [name for name in names if str((Path(folder) / name).relative_to(self.path)) in skipped]

        return Path(shutil.copytree(self.path, target, ignore=ignore, symlinks=True))
