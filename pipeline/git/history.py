"""The last release and the commits since then, read from the ``.git`` folder of a checkout."""

from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from dulwich.objects import Commit, ObjectID, Tag
from dulwich.refs import Ref
from dulwich.repo import Repo
from packaging.version import Version

from pipeline.errors import Code, PipelineError, TagError
from pipeline.git.ancestry import ancestry
from pipeline.git.commit import open_repository
from pipeline.git.versions import parse_version

_TAGS: Final = Ref(b"refs/tags/")


@dataclass(frozen=True)
class History:
    """Data of a checkout's history that a release needs."""

    day: date
    """Date of the newest commit, in UTC."""

    tagged: tuple[Version, ...]
    """Versions that have a tag, on any branch."""

    last: Version | None
    """Newest version with a tag on an ancestor of the checkout's commit, or on that commit."""

    commits: tuple[str, ...]
    """Subjects of the commits since that version, without merges, oldest first."""


def read_history(checkout: Path) -> History:
    """Read the history of a checkout.

    Raises:
        PipelineError: there is no history, or it is cut off after the last release, as in a shallow clone.
    """
    repository = open_repository(checkout)
    if repository is None:
        raise PipelineError(
            Code.HISTORY_MISSING,
            "the checkout has no .git folder, and a release is made from its history; "
            "run this in a clone (not in a git worktree)",
        )
    with closing(repository):
        try:
            head = repository.head()
            return _history(repository, head)
        except KeyError as error:
            raise PipelineError(
                Code.HISTORY_MISSING, "the checkout's .git has no commit that can be read; commit, and run this again"
            ) from error


def _history(repository: Repo, head: ObjectID) -> History:
    tags = _version_tags(repository)
    all_commits = dict(ancestry(repository, head))
    last = max((version for version, sha in tags.items() if sha in all_commits), default=None)
    before = dict(ancestry(repository, tags[last])) if last is not None else {}
    since = {sha: commit for sha, commit in all_commits.items() if sha not in before}
    if cut := sorted(repository.get_shallow() & since.keys()):
        raise PipelineError(
            Code.HISTORY_MISSING,
            f"the clone is shallow: its history ends at {cut[0].decode()[:7]}, after the last release; "
            "run 'git fetch --unshallow --tags' and this again",
        )
    walker = repository.get_walker(include=[head], order="topo", reverse=True)
    ordered = [entry.commit for entry in walker if entry.commit.id in since]
    return History(
        day=datetime.fromtimestamp(all_commits[head].commit_time, UTC).date(),
        tagged=tuple(sorted(tags)),
        last=last,
        commits=tuple(_subject(commit) for commit in ordered if len(commit.parents) < 2),  # noqa: PLR2004 -- a merge
    )


def _version_tags(repository: Repo) -> dict[Version, ObjectID]:
    """Return the commit of each tag that is a version; of two tags for one version, either one."""
    commits = {}
    for name, sha in repository.refs.as_dict(_TAGS).items():
        try:
            version = parse_version(name.decode(errors="replace"))
        except TagError:
            continue
        # A shallow clone may lack the tagged object: then the version counts as taken, but is no ancestor.
        while sha in repository.object_store and isinstance(target := repository[sha], Tag):
            sha = target.object[1]  # noqa: PLW2901 -- from the tag to its object
        commits[version] = sha
    return commits


def _subject(commit: Commit) -> str:
    """Return the first line of a commit's message."""
    message: bytes = commit.message
    return message.decode(errors="replace").strip().partition("\n")[0].strip()
