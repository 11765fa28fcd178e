"""Newer versions of a base image or a tool image, read from the tags of its repository.

A tag of pixi's own repository names a base (noble-cuda-13.0.0) and floats to each release of pixi, or names a release
of pixi on a base (0.62.2-noble-cuda-13.0.0) and is immutable. The CUDA version is read from the tags of any repository
that names it in the same form.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from packaging.version import Version

#: End of the name of the repository of base images with pixi, or of a mirror of it.
PIXI: Final = "/pixi"
_CUDA: Final = re.compile(r"(?P<before>(?:.*-)?cuda-?)(?P<version>\d+(?:\.\d+)+)(?P<after>(?:-.*)?)")
_PIXI: Final = re.compile(r"(?P<version>\d+\.\d+\.\d+)(?P<after>(?:-.+)?)")
#: A tag that is a whole version and nothing else: a tag such as 3.12-slim floats.
_RELEASE: Final = re.compile(r"(?P<before>v?)(?P<version>\d+\.\d+\.\d+)(?P<after>)")


@dataclass(frozen=True)
class Reference:
    """The name of an image, with the default parts filled in."""

    repository: str
    """The repository with its registry."""

    tag: str
    """Empty if the name has only a digest."""

    digest: str = ""


@dataclass(frozen=True)
class Newer:
    """A tag with a newer version than the current one."""

    version: str
    tag: str
    step: Literal["patch", "minor", "major"]


def parse(reference: str) -> Reference:
    """Split an image's name into its parts, with Docker's defaults."""
    name, _, digest = reference.partition("@")
    path, slash, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    name = f"{path}{slash}{last}"
    first = name.partition("/")[0]
    if "/" not in name:
        name = f"docker.io/library/{name}"
    elif not ("." in first or ":" in first or first == "localhost"):
        name = f"docker.io/{name}"
    return Reference(name, tag or ("" if digest else "latest"), digest)


def is_pixi(reference: str) -> bool:
    """Return whether the tags of an image name releases of pixi."""
    return parse(reference).repository.endswith(PIXI)


def newer_cuda(tag: str, tags: Iterable[str]) -> list[Newer]:
    """Return the newest patch of the CUDA version that a tag names, and the newest version of all, as far as newer.

    Args:
        tag: the tag in use.
        tags: all tags of its repository; only those that differ in nothing but the CUDA version count.
    """
    if not (ours := _CUDA.fullmatch(tag)):
        return []
    current = Version(ours["version"])
    candidates = _alike(_CUDA, ours, tags)
    patches = [version for version in candidates if version.release[:2] == current.release[:2]]
    newest = [max(versions) for versions in (patches, candidates) if versions]
    return [
        Newer(str(version), candidates[version], _step(current, version))
        for version in dict.fromkeys(newest)
        if version > current
    ]


def newest_release(tag: str, tags: Iterable[str]) -> Newer | None:
    """Return the newest release among the tags of a tool image; None if its tag is that, or is no release."""
    if not (ours := _RELEASE.fullmatch(tag)):
        return None
    current, candidates = Version(ours["version"]), _alike(_RELEASE, ours, tags)
    newest = max(candidates, default=current)
    return Newer(str(newest), candidates[newest], _step(current, newest)) if newest > current else None


def cuda_of(tag: str) -> str:
    """Return the CUDA version that a tag names; empty if it names none."""
    match = _CUDA.fullmatch(tag)
    return match["version"] if match else ""


def pixi_of(tag: str) -> str:
    """Return the version of pixi that an immutable tag of its repository names; empty for a floating tag."""
    match = _PIXI.fullmatch(tag)
    return match["version"] if match else ""


def newest_pixi(tag: str, tags: Iterable[str], current: str) -> tuple[str, str] | None:
    """Return the newest release of pixi, and its tag on the same base or an empty one; None if the current is newest.

    Args:
        tag: the tag in use, immutable or floating.
        tags: all tags of its repository.
        current: the version of pixi in the base image.
    """
    known = set(tags)
    versions = [Version(match["version"]) for name in known if (match := _PIXI.fullmatch(name))]
    if not versions or max(versions) <= Version(current):
        return None
    newest = str(max(versions))
    ours = _PIXI.fullmatch(tag)
    after = ours["after"] if ours else "" if tag == "latest" else f"-{tag}"
    return newest, f"{newest}{after}" if f"{newest}{after}" in known else ""


def _alike(pattern: re.Pattern[str], ours: re.Match[str], tags: Iterable[str]) -> dict[Version, str]:
    """Return the tags that differ in nothing but the version from ours."""
    return {
        Version(other["version"]): name
        for name in tags
        if (other := pattern.fullmatch(name)) and (other["before"], other["after"]) == (ours["before"], ours["after"])
    }


def _step(current: Version, newer: Version) -> Literal["patch", "minor", "major"]:
    if current.major != newer.major:
        return "major"
    return "patch" if current.minor == newer.minor else "minor"
