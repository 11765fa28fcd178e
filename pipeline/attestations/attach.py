"""What is attached to an image in each registry: its bills of materials, and how it was made.

Clients find it by the image's digest. An image for several platforms has a bill for each, at the manifest of the
platform, since that is what is in it; how it was made is attached to the image that has the tags.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import anyio
import dagger
from dagger import dag

from pipeline.attestations import provenance
from pipeline.attestations.sbom import describe, write
from pipeline.attestations.signing import ANNOTATIONS, BUNDLE, Signer
from pipeline.attestations.signing import NAME as SIGNATURE
from pipeline.build.image import Image
from pipeline.checkout import Checkout
from pipeline.config.image_toml import Platform, load_spec
from pipeline.errors import BuildError
from pipeline.locks import base_images
from pipeline.locks.image_lock import LOCK
from pipeline.output.formats import SbomFormat
from pipeline.registry.oci_layout import Artifact
from pipeline.updates.base_images import built_on

#: What the bills of materials are called in reports, and the types by which clients find them.
BILLS: Final[Mapping[SbomFormat, tuple[str, str]]] = {
    SbomFormat.CYCLONEDX: ("SBOM (CycloneDX)", "application/vnd.cyclonedx+json"),
    SbomFormat.SPDX: ("SBOM (SPDX)", "application/spdx+json"),
}
PROVENANCE: Final = ("provenance", "application/vnd.in-toto+json")


@dataclass(frozen=True)
class Attachment:
    """A document that belongs to an image."""

    name: str
    """What a report calls it."""

    type: str
    """Its media type."""

    subject: str
    """The digest that it is about."""

    file: dagger.File | None
    """None where it is only looked for."""

    annotations: Mapping[str, str] = field(default_factory=dict)

    check: Sequence[str] = ()
    """A command that accepts each file that is as good; where there is none, only the file's bytes are."""


def names(platforms: Sequence[Platform], *, signed: bool) -> tuple[str, ...]:
    """What is attached to an image, in reports' words."""
    bills = (_name(form, platform, platforms) for platform in platforms for form in BILLS)
    return (*bills, PROVENANCE[0], *([SIGNATURE] if signed else []))


def signature(digest: str, signer: Signer, file: dagger.File | None = None) -> Attachment:
    """A signature of an image: any that the signer made is as good."""
    return Attachment(SIGNATURE, BUNDLE, digest, file, ANNOTATIONS, signer.check(digest))


async def attachments(
    checkout: Checkout, image: str, built: Mapping[Platform, Image], artifact: Artifact, builder: str
) -> tuple[Attachment, ...]:
    """All documents about an image but its signature, in the order of :func:`names`.

    Args:
        checkout: where the image is.
        image: its name.
        built: it, for each of its platforms.
        artifact: it, as it is pushed.
        builder: URI of who builds it.

    Raises:
        PipelineError: something else is in it than was locked, or what it is built on cannot be found.
    """
    found: dict[str, Attachment] = {}
    platforms = list(built)

    async def bill(platform: Platform, subject: str) -> None:
        said = await describe(checkout, image, platform, built[platform].container)

        async def add(form: SbomFormat) -> None:
            name = _name(form, platform, platforms)
            file = await write(said, form, checkout.settings.fetch_base)
            found[name] = Attachment(name, BILLS[form][1], subject, file)

        async with anyio.create_task_group() as tasks:
            for form in BILLS:
                tasks.start_soon(add, form)

    for platform, subject in zip(platforms, artifact.manifests, strict=True):
        await bill(platform, subject)
    statement = provenance.describe(image, artifact.digest, await made_from(checkout, image, platforms), builder)
    name, media_type = PROVENANCE
    found[name] = Attachment(
        name,
        media_type,
        artifact.digest,
        dag.file(f"{image}.provenance.json", statement),
        {"in-toto.io/predicate-type": provenance.PREDICATE_TYPE},
    )
    return tuple(found[name] for name in names(platforms, signed=False))


async def made_from(checkout: Checkout, image: str, platforms: Sequence[Platform]) -> list[provenance.Resource]:
    """What an image is made from: the commit, the lock and the base images, as far as they are known.

    Raises:
        BuildError: a base image cannot be found.
    """
    spec = load_spec(checkout.path, image)
    folder = checkout.path / image
    found = [provenance.of_commit(checkout.commit, checkout.settings.source)] if checkout.commit else []
    if spec.dockerfile is None:
        recipe = checkout.recipe(image, spec, platforms[0])
        addresses = [recipe.pinned(address) for address in base_images.used(spec, checkout.settings).values()]
        found.append(provenance.of_file(f"{image}/{LOCK}", hashlib.sha256((folder / LOCK).read_bytes()).hexdigest()))
    else:
        addresses = built_on((folder / spec.dockerfile).read_text(encoding="utf-8"))
    for address in dict.fromkeys(addresses):
        # A tag is resolved once for all platforms: to the index, where there is one.
        base = dag.container(platform=dagger.Platform(platforms[0])).from_(address)
        try:
            found.append(provenance.of_image(await base.image_ref()))
        except dagger.QueryError as error:
            raise BuildError(f"{image}: base image {address} cannot be found: {error}; try again later") from error
    return found


def _name(form: SbomFormat, platform: Platform, platforms: Sequence[Platform]) -> str:
    name = BILLS[form][0]
    return name if len(platforms) == 1 else f"{name} of {platform}"
