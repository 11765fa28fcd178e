"""The files that image.toml adds to an image, collected at their paths."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import anyio
import dagger
from dagger import dag

from pipeline.config.files import ImageFile
from pipeline.engine_errors import reason_of
from pipeline.errors import Code, PipelineError, SpecError


async def collect(folder: dagger.Directory, files: Iterable[ImageFile], name: str, scratch: Path) -> dagger.Directory:
    """Return a directory with the files of an image.toml at their paths; verify the hashes of downloaded files.

    Args:
        folder: the image's folder.
        files: the files of image.toml.
        name: name of image.toml in messages.
        scratch: a folder of this process, in which downloaded files are hashed.

    Raises:
        PipelineError: a file cannot be fetched, or does not have the hash in image.toml.
    """
    tree = dag.directory()
    for number, file in enumerate(files):
        if file.source is not None:
            origin = folder.file(file.source)
        else:
            origin = await _fetch(file, f"{name}: key 'files.{number}", scratch / str(number))
        tree = tree.with_file(file.path, origin, permissions=file.permissions)
    return tree


async def require_no_folder(container: dagger.Container, files: Iterable[ImageFile], name: str) -> None:
    """Reject a file at the path of a folder, which it cannot replace.

    Args:
        container: the image before the files were added.
        files: the files of image.toml.
        name: name of image.toml in messages.

    Raises:
        SpecError: a path is a folder in the image.
    """
    for number, file in enumerate(files):
        if await container.exists(file.path, expected_type=dagger.ExistsType.DIRECTORY_TYPE):
            raise SpecError(
                Code.KEY_INVALID,
                f"{name}: key 'files.{number}.path': {file.path} is a folder in the image; give the path of a file",
                {name: [("files", number, "path")]},
            )


async def download(url: str, copy: Path) -> tuple[dagger.File, str]:
    """Download a file, and return it with the SHA-256 of its content.

    Args:
        url: the address.
        copy: path for a copy, which is hashed.

    Raises:
        dagger.QueryError: it cannot be fetched.
    """
    file = dag.http(url)
    await file.export(str(copy))
    return file, await anyio.to_thread.run_sync(_hash, copy)


async def _fetch(file: ImageFile, key: str, copy: Path) -> dagger.File:
    try:
        origin, actual = await download(str(file.url), copy)
    except dagger.QueryError as error:
        raise PipelineError(
            Code.DOWNLOAD_FAILED,
            f"{key}.url': {file.url} cannot be fetched: {reason_of(error)}; correct it, or run the same command again",
        ) from error
    if actual != file.sha256:
        raise PipelineError(
            Code.HASH_MISMATCH,
            f"{key}.sha256': {file.url} has {actual}, but {file.sha256} is pinned; "
            "if the file was meant to change, pin its new hash, otherwise do not trust the address",
        )
    return origin


def _hash(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
