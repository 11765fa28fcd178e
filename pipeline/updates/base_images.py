"""What is newer than a base image, by the tags of its repository: pure decisions.

Tags of pixi's own repository are a base (noble-cuda-13.0.0), which moves to each release of pixi, or a release of pixi
on a base (0.62.2-noble-cuda-13.0.0), which stays. CUDA is told by the tags of any repository that names it so.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from packaging.version import Version

#: The repository of base images with pixi, whoever mirrors it, by the end of its name.
PIXI: Final = "/pixi"
_CUDA: Final = re.compile(r"(?P<before>(?:.*-)?cuda-?)(?P<version>\d+(?:\.\d+)+)(?P<after>(?:-.*)?)")
_PIXI: Final = re.compile(r"(?P<version>\d+\.\d+\.\d+)(?P<after>(?:-.+)?)")
#: Instructions of a Dockerfile that name what it builds on, and what that stage is called.
_FROM: Final = re.compile(r"^\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Reference:
    """The name of an image, with all that people leave out."""

    repository: str
    """With the registry."""

    tag: str
    """Empty where a digest is named alone."""

    digest: str = ""


@dataclass(frozen=True)
class Newer:
    """A tag that has a newer version than another one."""

    version: str
    tag: str
    step: Literal["patch", "minor", "major"]


def parse(reference: str) -> Reference:
    """An image's name in its parts, with the defaults that Docker has."""
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
    """Whether the tags of an image say which releases of pixi there are."""
    return parse(reference).repository.endswith(PIXI)


def newer_cuda(tag: str, tags: Iterable[str]) -> list[Newer]:
    """The newest patch of the CUDA version that a tag names, and the newest version beyond; each where there is one.

    Args:
        tag: the one in use.
        tags: all of its repository; those that differ in the CUDA version alone are looked at.
    """
    if not (ours := _CUDA.fullmatch(tag)):
        return []
    current = Version(ours["version"])
    found = {
        Version(other["version"]): name
        for name in tags
        if (other := _CUDA.fullmatch(name)) and (other["before"], other["after"]) == (ours["before"], ours["after"])
    }
    patches = [version for version in found if version.release[:2] == current.release[:2]]
    newest = [max(versions) for versions in (patches, found) if versions]
    return [
        Newer(str(version), found[version], _step(current, version))
        for version in dict.fromkeys(newest)
        if version > current
    ]


def cuda_of(tag: str) -> str:
    """The CUDA version that a tag names; empty where it names none."""
    found = _CUDA.fullmatch(tag)
    return found["version"] if found else ""


def pixi_of(tag: str) -> str:
    """The version of pixi that a tag of its repository stays at; empty where it moves."""
    found = _PIXI.fullmatch(tag)
    return found["version"] if found else ""


def newest_pixi(tag: str, tags: Iterable[str], current: str) -> tuple[str, str] | None:
    """The newest release of pixi, and its tag on the same base, empty where that has none; None where ours is it.

    Args:
        tag: the one in use, of either kind.
        tags: all of its repository.
        current: the version of pixi that it has.
    """
    known = set(tags)
    versions = [Version(found["version"]) for name in known if (found := _PIXI.fullmatch(name))]
    if not versions or max(versions) <= Version(current):
        return None
    newest = str(max(versions))
    ours = _PIXI.fullmatch(tag)
    after = ours["after"] if ours else "" if tag == "latest" else f"-{tag}"
    return newest, f"{newest}{after}" if f"{newest}{after}" in known else ""


def built_on(dockerfile: str) -> list[str]:
    """The images that a Dockerfile names as its bases, each once; those in variables are not known before a build."""
    lines = _FROM.findall(dockerfile)
    stages = {name.lower() for _, name in lines if name} | {"scratch"}
    return list(dict.fromkeys(name for name, _ in lines if name.lower() not in stages and "$" not in name))


def _step(current: Version, newer: Version) -> Literal["patch", "minor", "major"]:
    if current.major != newer.major:
        return "major"
    return "patch" if current.minor == newer.minor else "minor"
