"""The ``files`` of image.toml: copied from the image's folder, or downloaded from a URL and pinned by a hash."""

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from pipeline.config.private_keys import KEYS
from pipeline.config.toml_locations import Keys
from pipeline.errors import Code, SpecError

#: Permission bits: every user must be able to read a file of an image, and only its owner and group to write it.
_READ_BY_ALL: Final = 0o444
_WRITTEN_BY_ALL: Final = 0o002


class ImageFile(BaseModel):
    """A file that is added to the image."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str | None = None
    """Path in the image's folder."""

    url: Annotated[str, Field(pattern=r"^https?://\S+$")] | None = None
    """URL that the file is downloaded from, instead of ``source``."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """SHA-256 of the downloaded file, in hexadecimal digits: every build of the image gets the same file."""

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
    """Return a relative path after checking that no ``..`` in it leaves its folder; symlinks are not looked at.

    Raises:
        ValueError: the path is absolute, empty, or leads out of the folder.
    """
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ValueError(f"'{value}' leaves the image's folder; name a file inside it")
    return value


def require_file(folder: Path, source: str, name: str, keys: Keys) -> None:
    """Check that a file which image.toml names is in the image's folder.

    Args:
        folder: the image's folder.
        source: the file's path in the folder.
        name: path of image.toml for messages.
        keys: path of the key that names the file.

    Raises:
        SpecError: the file is missing, or a symlink in its path leaves the folder.
    """
    subject = f"{name}: key '{'.'.join(map(str, keys))}'"
    at = {name: (keys,)}
    reject_links(folder, source, f"{subject}: ", at)
    if any(fnmatchcase(part, pattern) for part in PurePosixPath(source).parts for pattern in KEYS):
        raise SpecError(
            Code.FILE_MISSING,
            f"{subject}: {folder.name}/{source} has the name of a private key, which is never uploaded and would be "
            "readable by everybody in an image; mount it where the image runs, or rename a public key",
            at,
        )
    if not (folder / source).is_file():
        raise SpecError(
            Code.FILE_MISSING, f"{subject}: there is no file {folder.name}/{source}; add it or correct the key", at
        )


def reject_links(folder: Path, source: str, before: str = "", at: Mapping[str, Sequence[Keys]] | None = None) -> None:
    """Reject a path whose symlinks leave the image's folder.

    Args:
        folder: the image's folder; it must not be a symlink itself.
        source: path in the folder.
        before: beginning of the error message.
        at: locations of the error in the files that the message names.

    Raises:
        SpecError: the resolved path is outside of the folder.
    """
    if not (folder / source).resolve().is_relative_to(folder.parent.resolve() / folder.name):
        raise SpecError(
            Code.FILE_MISSING,
            f"{before}{folder.name}/{source} leaves the image's folder by a symlink; put the file itself there",
            at,
        )
