"""Attachments of an image in each registry: SBOMs, provenance and signature.

Clients find them by the image's digest. An image for several platforms has an SBOM for each, attached to the manifest
of the platform, since each platform has its own packages. Provenance and signature are attached to the tagged image.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

import dagger
from dagger import dag

from pipeline.attestations import provenance
from pipeline.attestations.sbom import describe, write
from pipeline.attestations.signing import ANNOTATIONS, BUNDLE, Signer
from pipeline.attestations.signing import NAME as SIGNATURE
from pipeline.build.image import Image
from pipeline.checkout import ImageSource
from pipeline.concurrency import results_of
from pipeline.config.image_toml import Platform
from pipeline.errors import Code, PipelineError
from pipeline.locks import base_images
from pipeline.locks.digests import has_digest
from pipeline.locks.image_lock import LOCK
from pipeline.output.formats import SbomFormat
from pipeline.registry.artifact import Artifact
from pipeline.registry.attachment import Attachment
from pipeline.updates.base_images import built_on

#: Names of the SBOMs in reports, and their media types, by which clients find them.
SBOMS: Final[Mapping[SbomFormat, tuple[str, str]]] = {
    SbomFormat.CYCLONEDX: ("SBOM (CycloneDX)", "application/vnd.cyclonedx+json"),
    SbomFormat.SPDX: ("SBOM (SPDX)", "application/spdx+json"),
}
PROVENANCE: Final = ("provenance", "application/vnd.in-toto+json")


def names(platforms: Sequence[Platform], *, signed: bool) -> tuple[str, ...]:
    """Return the names of an image's attachments, as reports have them."""
    sboms = (_name(form, platform, platforms) for platform in platforms for form in SBOMS)
    return (*sboms, PROVENANCE[0], *([SIGNATURE] if signed else []))


def signature(digest: str, signer: Signer, file: dagger.File | None = None) -> Attachment:
    """Return the attachment for an image's signature; any signature by the signer is equivalent."""
    return Attachment(SIGNATURE, BUNDLE, digest, file, ANNOTATIONS, signer.check(digest))


async def attachments(
    source: ImageSource, built: Mapping[Platform, Image], artifact: Artifact, builder: str
) -> tuple[Attachment, ...]:
    """Return all attachments of an image except its signature, in the order of :func:`names`.

    Args:
        source: the image.
        built: the built image for each platform.
        artifact: the image as it is pushed.
        builder: URI of the builder.

    Raises:
        PipelineError: the image does not hold what was locked, or a base image cannot be found.
    """
    attached: dict[str, Attachment] = {}
    platforms = list(built)

    async def add_sboms(platform: Platform, subject: str) -> None:
        sbom = await describe(source, platform, built[platform].container)

        async def add(form: SbomFormat) -> None:
            name = _name(form, platform, platforms)
            file = await write(sbom, form, source.settings.fetch_base)
            attached[name] = Attachment(name, SBOMS[form][1], subject, file)

        await results_of(add, SBOMS)

    for platform, subject in zip(platforms, artifact.manifests, strict=True):
        await add_sboms(platform, subject)
    statement = provenance.describe(source.name, artifact.digest, await made_from(source, platforms), builder)
    name, media_type = PROVENANCE
    attached[name] = Attachment(
        name,
        media_type,
        artifact.digest,
        dag.file(f"{source.name}.provenance.json", statement),
        {"in-toto.io/predicate-type": provenance.PREDICATE_TYPE},
    )
    return tuple(attached[name] for name in names(platforms, signed=False))


async def made_from(source: ImageSource, platforms: Sequence[Platform]) -> list[provenance.Resource]:
    """Return the materials of an image: commit, lock, base images, and the tool image that packs its layers.

    What is not known is left out, and so is a tool image that is not locked: its tag may be another image when the same
    commit is published again, and what is attached would differ.

    Raises:
        PipelineError: a base image cannot be found.
    """
    image, spec, folder, settings = source.name, source.spec, source.folder, source.settings
    found = [provenance.of_commit(source.commit, settings.source)] if source.commit else []
    if spec.dockerfile is None:
        inputs = source.inputs(platforms[0])
        addresses = [inputs.pinned(address) for address in base_images.used(spec, settings).values()]
        found.append(provenance.of_file(f"{image}/{LOCK}", hashlib.sha256((folder / LOCK).read_bytes()).hexdigest()))
    else:
        addresses = built_on((folder / spec.dockerfile).read_text(encoding="utf-8"))
    for address in dict.fromkeys(addresses):
        # Each tag is resolved once for all platforms: to the index, if there is one.
        base = dag.container(platform=dagger.Platform(platforms[0])).from_(address)
        try:
            found.append(provenance.of_image(await base.image_ref()))
        except dagger.QueryError as error:
            raise PipelineError(
                Code.BASE_IMAGE_UNAVAILABLE, f"{image}: base image {address} cannot be found: {error}; try again later"
            ) from error
    if has_digest(settings.fetch_base):
        found.append(provenance.of_image(settings.fetch_base))
    return found


def _name(form: SbomFormat, platform: Platform, platforms: Sequence[Platform]) -> str:
    name = SBOMS[form][0]
    return name if len(platforms) == 1 else f"{name} of {platform}"
