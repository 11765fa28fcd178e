"""base.lock of an image: each of its base images with the digest of its tag at the time of locking."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from pipeline.config.image_toml import FILE as SPEC
from pipeline.config.image_toml import ImageSpec
from pipeline.config.settings import Settings
from pipeline.errors import Code
from pipeline.locks import digests as digest_lock
from pipeline.locks.digests import DigestFile, Location, has_digest

FILE: Final = "base.lock"
#: Remedy for a base.lock that is stale or invalid.
REMEDY: Final = f"run 'dagger call lock --image {{image}}' and commit {FILE}"


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
    return {key: reference for key, reference in used(spec, settings).items() if not has_digest(reference)}


def read(folder: Path) -> dict[str, str] | None:
    """Read the digests from an image's base.lock; None if there is no such file.

    Raises:
        LockError: the file is not valid.
    """
    return _lock(folder.name).read(folder.parent)


def require_fitting(held: Mapping[str, str], image: str, spec: ImageSpec, settings: Settings) -> None:
    """Check that an image's base.lock has a digest for each of its base images, and no other digests.

    Raises:
        LockError: a digest is missing or superfluous.
    """
    required = {}
    for key, reference in to_lock(spec, settings).items():
        ours = key in spec.model_fields_set
        location = Location(f"{image}/{SPEC}", (key,)) if ours else Location(settings.file.name, settings.path(key))
        required[location] = reference
    _lock(image).require_fitting(held, required)


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
    return digest_lock.write(f"The base images of {image}. Written by: dagger call lock --image {image}", digests)


def compare(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[BaseChange, ...]:
    """Return the base images whose digests differ, sorted by name."""
    return tuple(
        BaseChange(reference=reference, before=before.get(reference), after=after.get(reference))
        for reference in sorted({*before, *after})
        if before.get(reference) != after.get(reference)
    )


def _lock(image: str) -> DigestFile:
    remedy = REMEDY.format(image=image)
    return DigestFile(f"{image}/{FILE}", "on which the image is not built", Code.BASE_LOCK_STALE, remedy)
