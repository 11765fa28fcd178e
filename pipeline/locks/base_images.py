"""base.lock of an image: each of its base images with the digest of its tag at the time of locking.

A tag can move to another image. With base.lock, every build of a commit has the same base images; without it, a build
uses the current image of each tag.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import tomlkit
from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import SettingsConfigDict

from pipeline.config.image_toml import FILE as SPEC
from pipeline.config.image_toml import ImageSpec
from pipeline.config.settings import Settings
from pipeline.config.validation import FileSettings, listed, read_toml, validate
from pipeline.errors import Code, LockError, SpecError

FILE: Final = "base.lock"
#: Remedy for a base.lock that is stale or invalid.
REMEDY: Final = f"run 'dagger call lock --image {{image}}' and commit {FILE}"


class BaseLock(FileSettings):
    """Content of a base.lock."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    digests: dict[str, Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]]
    """Digests by the reference of the base image; the digest of the index if it has several platforms."""


class BaseChange(BaseModel):
    """Difference between two locks for a base image."""

    model_config = ConfigDict(frozen=True)

    reference: str
    before: str | None
    """Previous digest; None if the base image was not locked."""
    after: str | None
    """New digest; None if the base image is no longer locked."""


def used(spec: ImageSpec, settings: Settings) -> dict[str, str]:
    """Return the base images of an image by key; empty for a Dockerfile, which names and pins its own."""
    if spec.dockerfile is not None:
        return {}
    runtime = {} if spec.runtime_base is None else {"runtime_base": spec.runtime_base}
    return {"base": spec.base or settings.base, **runtime}


def to_lock(spec: ImageSpec, settings: Settings) -> dict[str, str]:
    """Return the base images that base.lock must pin, by key: all those without a digest in their reference."""
    return {key: reference for key, reference in used(spec, settings).items() if "@" not in reference}


def read(folder: Path) -> dict[str, str] | None:
    """Read the digests from an image's base.lock; None if there is no such file.

    Raises:
        LockError: the file is not valid.
    """
    name = f"{folder.name}/{FILE}"
    if not (folder / FILE).is_file():
        return None
    try:
        return validate(BaseLock, read_toml(folder / FILE, name), name).digests
    except SpecError as error:
        raise LockError(Code.BASE_LOCK_STALE, f"{error.message}; or {REMEDY.format(image=folder.name)}") from error


def require_fitting(held: Mapping[str, str], image: str, spec: ImageSpec, settings: Settings) -> None:
    """Check that an image's base.lock has a digest for each of its base images, and no other digests.

    Raises:
        LockError: a digest is missing or superfluous.
    """
    required = to_lock(spec, settings)
    problems: list[str] = []
    at: dict[str, tuple[tuple[str, ...], ...] | str] = {}
    for key, reference in required.items():
        if reference not in held:
            ours = key in spec.model_fields_set
            file = f"{image}/{SPEC}" if ours else settings.file.name
            problems.append(f"it lacks {reference}, which is '{key}' in {file}")
            at[file] = ((key,) if ours else (*settings.file.table, key),)
    for reference in sorted(held.keys() - required.values()):
        problems.append(f"it has {reference}, on which the image is not built")
        at.setdefault(f"{image}/{FILE}", f'"{reference}"')
    if problems:
        raise LockError(
            Code.BASE_LOCK_STALE, f"{image}/{FILE} does not fit: {listed(problems)}; {REMEDY.format(image=image)}", at
        )


def unpinned(folder: Path, spec: ImageSpec, settings: Settings) -> str:
    """Return a warning if an image's base images are not locked; an empty string if they are."""
    if (folder / FILE).is_file() or not to_lock(spec, settings):
        return ""
    image = folder.name
    return (
        f"without {image}/{FILE}, base images are what their tags are now; 'dagger call lock --image {image}' pins them"
    )


def write(image: str, digests: Mapping[str, str]) -> str:
    """Return the text of a base.lock, with a line for each base image so that a diff shows each changed digest."""
    document = tomlkit.document()
    document.add(tomlkit.comment(f"The base images of {image}. Written by: dagger call lock --image {image}"))
    document.add(tomlkit.nl())
    table = tomlkit.table()
    for reference, digest in sorted(digests.items()):
        table.add(reference, digest)
    document.add("digests", table)
    return tomlkit.dumps(document)


def compare(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[BaseChange, ...]:
    """Return the base images whose digests differ, sorted by name."""
    return tuple(
        BaseChange(reference=reference, before=before.get(reference), after=after.get(reference))
        for reference in sorted({*before, *after})
        if before.get(reference) != after.get(reference)
    )
