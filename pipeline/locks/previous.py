"""The previous lock of an image: as a commit has it, as a published image was built from it, or a file.

A published image is pulled by the engine, which is why this module of the room imports dagger.
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
from pipeline.credentials.registry_auth import explain_refused_pull
from pipeline.errors import Code, PreviousLockError
from pipeline.git.commit import open_repository
from pipeline.locks import base_images
from pipeline.locks.image_lock import LOCK

#: Where images have the lock that they were built from.
PUBLISHED: Final = f"/app/{LOCK}"
#: What an image's reference ends with, and no name that git takes contains: a tag, a digest, or both.
_REFERENCE: Final = re.compile(r".+[:@].+")
#: The folders of `.git/refs` that people leave out of a name.
_SHORT: Final = re.compile(rb"refs/(?:heads|tags|remotes)/(.+)")
#: Names of branches and tags that a message may have room for.
SHOWN: Final = 10
#: The other ways to name a lock.
OTHERWISE: Final = "a published image (with its tag) and a file (--from-file) are taken as well"


async def find_previous(
    checkout: Path, logins: Logins, image: str, reference: str, file: dagger.File | None
) -> tuple[Path, str]:
    """The previous lock in a file of this process, and what messages call it.

    Args:
        checkout: with its `.git`.
        logins: who logs in to registries.
        image: whose lock it is.
        reference: a commit, branch or tag of git, or the reference of a published image.
        file: the lock itself; then the reference is not looked at.

    Raises:
        PreviousLockError: nothing is found there.
    """
    path = Path(await anyio.to_thread.run_sync(tempfile.mkdtemp)) / LOCK
    if file is not None:
        await file.export(str(path))
        return path, await file.name()
    if _REFERENCE.fullmatch(reference):
        await _export_published(reference, path, logins.registries)
    else:
        path.write_bytes(committed_lock(checkout, image, reference))
    return path, reference


def previous_digests(checkout: Path, image: str, reference: str, file: dagger.File | None) -> dict[str, str] | None:
    """The digests of base images as a commit has them; None where the previous lock is of no commit.

    Raises:
        LockError: the commit's base.lock cannot be used.
    """
    if file is not None or _REFERENCE.fullmatch(reference):
        return None
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / image
        folder.mkdir()
        with contextlib.suppress(PreviousLockError):  # as before it was locked
            (folder / base_images.FILE).write_bytes(committed_lock(checkout, image, reference, base_images.FILE))
        return base_images.read(folder) or {}


def committed_lock(checkout: Path, image: str, reference: str, file: str = LOCK) -> bytes:
    """An image's lock as a commit has it.

    Args:
        checkout: with its `.git`.
        image: whose lock it is.
        reference: a commit, branch or tag of git.
        file: its lock of packages, or of base images.

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
            found = parse_object(repository, commit.id + b":" + name.encode())
        except KeyError:
            found = None
        if not isinstance(found, Blob):
            raise PreviousLockError(
                Code.PREVIOUS_LOCK_MISSING,
                f"commit {commit.id.decode()[:7]}, which is '{reference}', has no {name}; "
                "compare with a commit in which the image had one",
            )
        return found.data


def _commit(repository: Repo, reference: str) -> Commit:
    """The commit that a person means.

    Raises:
        PreviousLockError: there is none.
    """
    # The first knows the beginnings of ids, the second `~` and `^`.
    for parse in (parse_commit, parse_object):
        with contextlib.suppress(LookupError, ValueError):
            found = parse(repository, reference or " ")
            if isinstance(found, Commit):
                return found
    short = (_SHORT.fullmatch(ref) for ref in repository.refs.allkeys())
    names = {match[1].decode(errors="replace") for match in short if match}
    hint = nearest(reference, names) if len(names) <= SHOWN else "'git branch --all' and 'git tag' list what there is"
    shallow = ", which was cloned without its whole history (git fetch --unshallow gets it)"
    raise PreviousLockError(
        Code.PREVIOUS_LOCK_MISSING,
        f"there is no commit, branch or tag '{reference}' in the checkout"
        f"{shallow if repository.get_shallow() else ''}; {hint}; {OTHERWISE}",
    )


async def _export_published(reference: str, path: Path, known: Collection[str]) -> None:
    published = dag.container().from_(reference)
    try:
        await published.sync()
    except dagger.QueryError as error:
        remedy = explain_refused_pull(str(error), reference, known) or "correct the reference, or try again"
        raise PreviousLockError(
            Code.PREVIOUS_LOCK_MISSING, f"image {reference} cannot be pulled: {error}; {remedy}"
        ) from error
    try:
        await published.file(PUBLISHED).export(str(path))
    except dagger.QueryError as error:
        raise PreviousLockError(
            Code.PREVIOUS_LOCK_MISSING,
            f"image {reference} has no {PUBLISHED}, which images that are built from a lock have; name another one",
        ) from error
