"""The ``files`` of image.toml: from the image's own folder, or from elsewhere and pinned by their hash."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from pipeline.config.toml_locations import Keys
from pipeline.errors import Code, SpecError

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
        raise SpecError(
            Code.FILE_MISSING, f"{what}: there is no file {folder.name}/{source}; add it or correct the key", at
        )


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
            Code.FILE_MISSING,
            f"{before}{folder.name}/{source} leaves the image's folder by a symlink; put the file itself there",
            at,
        )
