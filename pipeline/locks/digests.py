"""Locks of images by digest, in one format: base.lock of an image, and tools.lock of a checkout.

A tag can move to another image. With a lock, every call at a commit takes the same images; without it, a call takes
the current image of each tag.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

import tomlkit
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from pipeline.config.validation import FileSettings, listed, read_toml, validate
from pipeline.errors import Code, LockError, SpecError


class DigestLock(FileSettings):
    """Content of such a lock."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    digests: dict[str, Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]]
    """Digests by the reference of the image; the digest of the index if it has several platforms."""


class Location(NamedTuple):
    """Key that names an image."""

    file: str

    path: tuple[str, ...]
    """Path of the key in the file."""


def has_digest(reference: str) -> bool:
    """Return whether the reference of an image has a digest, so that no lock needs to pin it."""
    return "@" in reference


@dataclass(frozen=True)
class DigestFile:
    """Lock of a checkout, which may be missing."""

    name: str
    """Path in the checkout."""

    unused: str
    """End of the clause about an image that it has and nothing names."""

    code: Code
    """Code of its errors."""

    remedy: str

    def read(self, checkout: Path) -> dict[str, str] | None:
        """Read its digests; None if there is no such file.

        Raises:
            LockError: the file is not valid.
        """
        if not (checkout / self.name).is_file():
            return None
        try:
            return validate(DigestLock, read_toml(checkout / self.name, self.name), self.name).digests
        except SpecError as error:
            raise LockError(self.code, f"{error.message}; or {self.remedy}") from error

    def require_fitting(self, held: Collection[str], required: Mapping[Location, str]) -> None:
        """Check that it has a digest for each image that must be pinned, and no other digests.

        Args:
            held: the references that it has.
            required: the reference of each image to pin, by the key that names it.

        Raises:
            LockError: a digest is missing or superfluous.
        """
        problems: list[str] = []
        at: dict[str, tuple[tuple[str, ...], ...] | str] = {}
        for location, reference in required.items():
            if reference not in held:
                problems.append(f"it lacks {reference}, which is '{location.path[-1]}' in {location.file}")
                at[location.file] = (location.path,)
        for reference in sorted(set(held) - set(required.values())):
            problems.append(f"it has {reference}, {self.unused}")
            at.setdefault(self.name, f'"{reference}"')
        if problems:
            raise LockError(self.code, f"{self.name} does not fit: {listed(problems)}; {self.remedy}", at)


def write(comment: str, digests: Mapping[str, str]) -> str:
    """Return the text of a lock, with a line for each image so that a diff shows each changed digest."""
    document = tomlkit.document()
    document.add(tomlkit.comment(comment))
    document.add(tomlkit.nl())
    table = tomlkit.table()
    for reference, digest in sorted(digests.items()):
        table.add(reference, digest)
    document.add("digests", table)
    return tomlkit.dumps(document)
