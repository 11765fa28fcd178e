"""base.lock of an image: the base images that it is built on, each with the digest that its tag had when it was locked.

A tag is another image tomorrow. With base.lock the same commit is the same image, whoever builds it and when; without
one, tags are taken as they are.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import tomlkit
from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import SettingsConfigDict

from pipeline.config.image_toml import FILE as SPEC
from pipeline.config.image_toml import ImageSpec
from pipeline.config.project_toml import FILE as PROJECT
from pipeline.config.project_toml import Settings
from pipeline.config.validation import FileSettings, listed, read_toml, validate
from pipeline.errors import Code, LockError, SpecError

FILE: Final = "base.lock"
#: What to do about a file that does not fit, or cannot be used.
REMEDY: Final = f"run 'dagger call lock --image {{image}}' and commit {FILE}"


class Bases(FileSettings):
    """What base.lock says."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    digests: dict[str, Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]]
    """The digest of each base image by its name with the tag; of the index where it has several platforms."""


class BaseChange(BaseModel):
    """What became of one base image between two locks."""

    model_config = ConfigDict(frozen=True)

    reference: str
    before: str | None
    """The previous digest; None where it was not locked."""
    after: str | None


def used(spec: ImageSpec, settings: Settings) -> dict[str, str]:
    """The base images of an image by the key that names each; a Dockerfile names its own, and pins them there."""
    if spec.dockerfile is not None:
        return {}
    runtime = {} if spec.runtime_base is None else {"runtime_base": spec.runtime_base}
    return {"base": spec.base or settings.base, **runtime}


def to_lock(spec: ImageSpec, settings: Settings) -> dict[str, str]:
    """Those that base.lock has to have: a name with a digest is locked by itself."""
    return {key: reference for key, reference in used(spec, settings).items() if "@" not in reference}


def read(folder: Path) -> dict[str, str] | None:
    """The digests of an image's folder; None where it has no base.lock.

    Raises:
        LockError: the file cannot be used.
    """
    name = f"{folder.name}/{FILE}"
    if not (folder / FILE).is_file():
        return None
    try:
        return validate(Bases, read_toml(folder / FILE, name), name).digests
    except SpecError as error:
        raise LockError(Code.BASE_LOCK_STALE, f"{error.message}; or {REMEDY.format(image=folder.name)}") from error


def require_fitting(held: Mapping[str, str], image: str, spec: ImageSpec, settings: Settings) -> None:
    """Compare the digests of an image's base.lock with its base images: one for each of them, and no other one.

    Raises:
        LockError: they do not fit.
    """
    wanted = to_lock(spec, settings)
    problems: list[str] = []
    at: dict[str, tuple[tuple[str, ...], ...] | str] = {}
    for key, reference in wanted.items():
        if reference not in held:
            ours = key in spec.model_fields_set
            file = f"{image}/{SPEC}" if ours else PROJECT
            problems.append(f"it lacks {reference}, which is '{key}' in {file}")
            at[file] = ((key,) if ours else ("tool", "pipeline", key),)
    for reference in sorted(held.keys() - wanted.values()):
        problems.append(f"it has {reference}, on which the image is not built")
        at.setdefault(f"{image}/{FILE}", f'"{reference}"')
    if problems:
        raise LockError(
            Code.BASE_LOCK_STALE, f"{image}/{FILE} does not fit: {listed(problems)}; {REMEDY.format(image=image)}", at
        )


def unpinned(folder: Path, spec: ImageSpec, settings: Settings) -> str:
    """What is told of an image whose base images are not locked; nothing where they are."""
    if (folder / FILE).is_file() or not to_lock(spec, settings):
        return ""
    image = folder.name
    return (
        f"without {image}/{FILE}, base images are what their tags are now; 'dagger call lock --image {image}' pins them"
    )


def write(image: str, digests: Mapping[str, str]) -> str:
    """The text of a base.lock: a line a base image, so that a changed digest is a changed line."""
    document = tomlkit.document()
    document.add(tomlkit.comment(f"The base images of {image}. Written by: dagger call lock --image {image}"))
    document.add(tomlkit.nl())
    table = tomlkit.table()
    for reference, digest in sorted(digests.items()):
        table.add(reference, digest)
    document.add("digests", table)
    return tomlkit.dumps(document)


def compare(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[BaseChange, ...]:
    """What became of each base image whose digest is another one, sorted by name."""
    return tuple(
        BaseChange(reference=reference, before=before.get(reference), after=after.get(reference))
        for reference in sorted({*before, *after})
        if before.get(reference) != after.get(reference)
    )
