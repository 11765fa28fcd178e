"""The previous lock of an image, from a commit, a published image or a file.

Imports dagger because the engine pulls published images.
"""

import contextlib
import re
import tempfile
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from typing import Final

import anyio
import dagger
from dagger import dag
from dulwich.objects import Blob, Commit
from dulwich.objectspec import parse_commit, parse_object
from dulwich.repo import Repo

from pipeline.config.validation import nearest
from pipeline.credentials.logins import Logins
from pipeline.credentials.registry_auth import explain_rejected_pull
from pipeline.engine_errors import reason_of
from pipeline.errors import Code, PreviousLockError
from pipeline.git.commit import open_repository
from pipeline.locks import base_images
from pipeline.locks.image_lock import LOCK

#: Path in an image of the lock that it was built from.
PUBLISHED: Final = f"/app/{LOCK}"
#: Reference of an image with a tag or digest: the name of a git ref cannot contain ``:``. In braces git's own language
#: can, as in ``HEAD@{12:00}``.
_REFERENCE: Final = re.compile(r"[^{}:]+:[^{}]+")
#: Full name of a git ref, with its short name as a group.
_SHORT: Final = re.compile(rb"refs/(?:heads|tags|remotes)/(.+)")
#: Largest number of branches and tags that a message lists.
SHOWN: Final = 10
#: Part of messages: other sources of a lock.
OTHERWISE: Final = "a published image (with its tag) and a file (--from-file) are taken as well"


def is_published(reference: str) -> bool:
    """Whether a reference names a published image, and no commit."""
    return bool(_REFERENCE.fullmatch(reference))


async def find_previous(
    checkout: Path, logins: Logins, image: str, reference: str, file: dagger.File | None
) -> tuple[Path, str]:
    """Write the previous lock to a temporary file, and return its path and its name for messages.

    Args:
        checkout: checkout with its `.git`.
        logins: credentials of registries.
        image: name of the image.
        reference: a commit, branch or tag of git, or the reference of a published image.
        file: the lock itself; it takes precedence over the reference.

    Raises:
        PreviousLockError: there is no lock at the reference.
    """
    path = Path(await anyio.to_thread.run_sync(tempfile.mkdtemp)) / LOCK
    if file is not None:
        await file.export(str(path))
        return path, await file.name()
    if is_published(reference):
        await logins.prepare([reference])
        await _export_published(reference, path, logins.registries)
    else:
        path.write_bytes(committed_lock(checkout, image, reference))
    return path, reference


def previous_digests(checkout: Path, image: str, reference: str, file: dagger.File | None) -> dict[str, str] | None:
    """Read the digests of base images at a commit; None if the previous lock is not from a commit.

    Raises:
        LockError: the commit's base.lock is not valid.
    """
    if file is not None or is_published(reference):
        return None
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / image
        folder.mkdir()
        with contextlib.suppress(PreviousLockError):  # a commit from before it was locked
            (folder / base_images.FILE).write_bytes(committed_lock(checkout, image, reference, base_images.FILE))
        return base_images.read(folder) or {}


def committed_lock(checkout: Path, image: str, reference: str, file: str = LOCK) -> bytes:
    """Read an image's lock at a commit.

    Args:
        checkout: checkout with its `.git`.
        image: name of the image.
        reference: a commit, branch or tag of git.
        file: name of the lock, pixi.lock or base.lock.

    Raises:
        PreviousLockError: the checkout has no history, no such commit, or the commit has no such lock.
    """
    repository = open_repository(checkout)
    if repository is None:
        raise PreviousLockError(
            Code.PREVIOUS_LOCK_MISSING,
            f"the checkout has no folder .git to look up '{reference}' in (a worktree of git has none); {OTHERWISE}",
        )
    with closing(repository):
        commit = _commit(repository, reference)
        name = f"{image}/{file}"
        try:
            blob = parse_object(repository, commit.id + b":" + name.encode())
        except KeyError:
            blob = None
        if not isinstance(blob, Blob):
            raise PreviousLockError(
                Code.PREVIOUS_LOCK_MISSING,
                f"commit {commit.id.decode()[:7]}, which is '{reference}', has no {name}; "
                "compare with a commit in which the image had one",
            )
        return blob.data


def _commit(repository: Repo, reference: str) -> Commit:
    """Find the commit of a reference.

    Raises:
        PreviousLockError: the reference is not in the repository.
    """
    # The first supports abbreviated ids, the second `~` and `^`.
    for parse in (parse_commit, parse_object):
        with contextlib.suppress(LookupError, ValueError):
            commit = parse(repository, reference or " ")
            if isinstance(commit, Commit):
                return commit
    short = (_SHORT.fullmatch(ref) for ref in repository.refs.allkeys())
    names = {match[1].decode(errors="replace") for match in short if match}
    hint = nearest(reference, names) if len(names) <= SHOWN else "'git branch --all' and 'git tag' list what there is"
    if "{" in reference:
        hint = f"only git itself knows this one: give the commit that git rev-parse '{reference}' prints"
    shallow = ", which was cloned without its whole history (git fetch --unshallow gets it)"
    raise PreviousLockError(
        Code.PREVIOUS_LOCK_MISSING,
        f"there is no commit, branch or tag '{reference}' in the checkout"
        f"{shallow if repository.get_shallow() else ''}; {hint}; {OTHERWISE}",
    )


async def _export_published(reference: str, path: Path, known: Collection[str]) -> None:
    """Write the lock of a published image to a file; ``known`` are the registries with credentials."""
    published = dag.container().from_(reference)
    try:
        await published.sync()
    except dagger.QueryError as error:
        remedy = explain_rejected_pull(str(error), reference, known) or "correct the reference, or try again"
        raise PreviousLockError(
            Code.PREVIOUS_LOCK_MISSING, f"image {reference} cannot be pulled: {reason_of(error)}; {remedy}"
        ) from error
    try:
        await published.file(PUBLISHED).export(str(path))
    except dagger.QueryError as error:
        raise PreviousLockError(
            Code.PREVIOUS_LOCK_MISSING,
            f"image {reference} has no {PUBLISHED}, which images that are built from a lock have; name another one",
        ) from error
