"""Lines that propose images to the CVMFS repositories of CERN and OSG, in the form of their lists."""

import re
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Final

from pipeline.checkout import Checkout, ImageSource
from pipeline.cvmfs import GZIP
from pipeline.errors import Code, TagError
from pipeline.publishing.repositories import repositories

DOCKER_HUB: Final = "docker.io"
#: Docker Hub in CERN's list, as a host that answers as a registry.
_DOCKER_HUB_AT_CERN: Final = "registry.hub.docker.com"
#: Host of OSG's own registry.
_OSG: Final = "hub.opensciencegrid.org"
TAG: Final = re.compile(r"[A-Za-z0-9_*][A-Za-z0-9_.*-]{0,127}")
#: A tag for documents about an image, in a registry without referrers.
_DOCUMENT: Final = f"sha256-{'0' * 64}"
_UNPACKED: Final = (
    "# /cvmfs/unpacked.cern.ch: below 'input' of recipe.yaml in https://github.com/cvmfs/images-unpacked.cern.ch"
)
_SINGULARITY: Final = (
    "# /cvmfs/singularity.opensciencegrid.org: in docker_images.txt of "
    "https://github.com/opensciencegrid/cvmfs-singularity-sync"
)


def propose(checkout: Checkout, image: str | None, tags: Sequence[str]) -> str:
    """Return the lines for both lists, with comments that both of them can have.

    Args:
        checkout: the checkout with the images.
        image: name of an image; all images by default.
        tags: tags to propose, or patterns with ``*``.

    Raises:
        SpecError: there is no such image, or its image.toml cannot be used.
        TagError: a tag is not valid, or a pattern matches more than images.
    """
    for tag in tags:
        require_tag(tag)
    sources = checkout.images(image)
    return "\n".join(
        line
        for heading, propose_one in ((_UNPACKED, unpacked_line), (_SINGULARITY, osg_line))
        for line in (heading, *(line for source in sources for line in _lines(source, tags, propose_one)), "")
    )


def require_tag(tag: str) -> None:
    """Check a tag or pattern.

    Raises:
        TagError: it is not valid, or matches the tags of documents about images.
    """
    if not TAG.fullmatch(tag):
        raise TagError(
            Code.TAG_INVALID, f"'{tag}' is no tag; give one such as latest or 2026.2.0, or a pattern such as 2026.*"
        )
    if fnmatchcase(_DOCUMENT, tag):
        raise TagError(
            Code.TAG_INVALID,
            f"'{tag}' matches the tags of SBOMs and signatures as well, which are no images; give a pattern such as "
            "2026.*",
        )


def unpacked_line(names: Sequence[str], tag: str) -> str | None:
    """Return the line of CERN's list for one of an image's repositories: one with no limit on pulls, if there is one.

    Args:
        names: the repositories.
        tag: a tag or pattern.
    """
    name = next((name for name in names if not name.startswith(f"{DOCKER_HUB}/")), names[0])
    return f"    - 'https://{name.replace(f'{DOCKER_HUB}/', f'{_DOCKER_HUB_AT_CERN}/', 1)}:{tag}'"


def osg_line(names: Sequence[str], tag: str) -> str | None:
    """Return the line of OSG's list for one of an image's repositories: the one in OSG's own registry, if there is one.

    None where its program cannot read any. It needs a namespace in names of other registries than Docker Hub, which it
    takes where there is no registry; and it lists the tags for a pattern by a request that only Docker Hub answers.

    Args:
        names: the repositories.
        tag: a tag or pattern.
    """
    hub = f"{DOCKER_HUB}/"
    readable = [name for name in names if name.startswith(hub) or (name.count("/") > 1 and "*" not in tag)]
    first = sorted(readable, key=lambda name: not name.startswith(f"{_OSG}/"))[:1]
    return f"{first[0].removeprefix(hub)}:{tag}" if first else None


def _lines(source: ImageSource, tags: Sequence[str], line: Callable[[Sequence[str], str], str | None]) -> list[str]:
    spec = source.spec
    if spec.no_cvmfs:
        return [f"# {source.name} does not go to CVMFS: {spec.no_cvmfs}".replace("\n", " ")]
    if spec.compression != GZIP and line is unpacked_line:
        return [f"# {source.name} has layers of {spec.compression}, which are not read there"]
    names = repositories(source.name, spec, source.settings, [])
    if not names:
        return [f"# {source.name} has no repository"]
    made = [(tag, line(names, tag)) for tag in tags]
    return [text or f"# no repository of {source.name} can be named there with the tag {tag}" for tag, text in made]
