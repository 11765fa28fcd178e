"""The files that image.toml adds to an image: from its own folder, or from elsewhere and pinned by their hash."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Final, Self

import anyio
import dagger
from dagger import dag
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from pipeline.config.toml_locations import Keys
from pipeline.errors import BuildError, SpecError

#: Every user reads a file of an image, and only its owner and group write it.
_READ_BY_ALL: Final = 0o444
_WRITTEN_BY_ALL: Final = 0o002


class ImageFile(BaseModel):
    """One file that is added to the image."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str | None = None
    """Path in the image's folder."""

    url: Annotated[str, Field(pattern=r"^https?://\S+$")] | None = None
    """Address that the file is fetched from, instead of ``source``."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """Hash of what ``url`` gives, in hexadecimal digits: the file is the same whoever builds the image and when."""

    path: str
    """Absolute path in the image."""

    mode: str = "0644"
    """Permissions, in octal digits."""

    @field_validator("source")
    @classmethod
    def _stays_inside(cls, value: str | None) -> str | None:
        return value if value is None else inner_path(value)

    @field_validator("path")
    @classmethod
    def _is_absolute(cls, value: str) -> str:
        if not value.startswith("/") or ".." in PurePosixPath(value).parts:
            raise ValueError(f"'{value}' is not an absolute path; start it with '/'")
        if value.endswith("/"):
            raise ValueError(f"'{value}' is a folder; name the file in it")
        return value

    @field_validator("mode")
    @classmethod
    def _is_usable(cls, value: str) -> str:
        if not re.fullmatch(r"0?[0-7]{3}", value):
            raise ValueError(f"'{value}' is not a file mode; write three octal digits such as '0644'")
        mode = int(value, 8)
        if mode & _READ_BY_ALL != _READ_BY_ALL or mode & _WRITTEN_BY_ALL:
            raise ValueError(
                f"'{value}' does not let every user read the file and only its owner write it; "
                "write '0644', or '0755' for a program"
            )
        return value

    @model_validator(mode="after")
    def _has_one_origin(self) -> Self:
        if (self.source is None) == (self.url is None):
            raise ValueError(f"the file for {self.path} needs either 'source' or 'url'; give one of them")
        if (self.url is None) != (self.sha256 is None):
            raise ValueError(f"the file for {self.path} needs 'sha256' where it has 'url', and only there")
        return self

    @property
    def permissions(self) -> int:
        """The mode as a number."""
        return int(self.mode, 8)


def inner_path(value: str) -> str:
    """A path that stays in the folder that it is relative to, as far as its words say.

    Raises:
        ValueError: it is absolute or empty, or leads out of the folder.
    """
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ValueError(f"'{value}' leaves the image's folder; name a file inside it")
    return value


def require_file(folder: Path, source: str, name: str, keys: Keys) -> None:
    """Refuse what an image.toml names and the image's folder does not have, or has outside of itself.

    Args:
        folder: the image's folder.
        source: a path in the folder.
        name: what messages call the image.toml.
        keys: the way to the key in it that names the file.

    Raises:
        SpecError: there is no such file, or a symlink on the way to it leaves the folder.
    """
    what = f"{name}: key '{'.'.join(map(str, keys))}'"
    at = {name: (keys,)}
    refuse_links(folder, source, f"{what}: ", at)
    if not (folder / source).is_file():
        raise SpecError(f"{what}: there is no file {folder.name}/{source}; add it or correct the key", at)


def refuse_links(folder: Path, source: str, before: str = "", at: Mapping[str, Sequence[Keys]] | None = None) -> None:
    """Refuse a path in an image's folder whose symlinks leave the folder.

    Args:
        folder: the image's folder, which is itself no symlink.
        source: the path.
        before: what the message starts with.
        at: where the files that it names are at fault.

    Raises:
        SpecError: the path leads to somewhere else.
    """
    if not (folder / source).resolve().is_relative_to(folder.parent.resolve() / folder.name):
        raise SpecError(
            f"{before}{folder.name}/{source} leaves the image's folder by a symlink; put the file itself there",
            at,
        )


async def collect(folder: dagger.Directory, files: Iterable[ImageFile], name: str, scratch: Path) -> dagger.Directory:
    """A tree with the files of an image.toml at their paths; those from elsewhere are held against their hashes.

    Args:
        folder: the image's folder.
        files: what image.toml says.
        name: what messages call image.toml.
        scratch: a folder of this process's own, where fetched files are hashed.

    Raises:
        BuildError: a file cannot be fetched, or is another one than image.toml says.
    """
    tree = dag.directory()
    for number, file in enumerate(files):
        if file.source is not None:
            origin = folder.file(file.source)
        else:
            origin = await _fetch(file, f"{name}: key 'files.{number}", scratch / str(number))
        tree = tree.with_file(file.path, origin, permissions=file.permissions)
    return tree


async def _fetch(file: ImageFile, key: str, copy: Path) -> dagger.File:
    origin = dag.http(str(file.url))
    try:
        await origin.export(str(copy))
    except dagger.QueryError as error:
        raise BuildError(
            f"{key}.url': {file.url} cannot be fetched: {error}; correct it, or run the same command again"
        ) from error
    found = await anyio.to_thread.run_sync(_hash, copy)
    if found != file.sha256:
        raise BuildError(
            f"{key}.sha256': {file.url} has {found}, but {file.sha256} is pinned; "
            "if the file was meant to change, pin its new hash, otherwise do not trust the address"
        )
    return origin


def _hash(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
