"""What is attached to an image in each registry: its bills of materials, and how it was made.

Clients find it by the image's digest. An image for several platforms has a bill for each, at the manifest of the
platform, since that is what is in it; how it was made is attached to the image that has the tags.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

import anyio
import dagger
from dagger import dag

from pipeline.attestations import provenance
from pipeline.attestations.sbom import describe, write
from pipeline.attestations.signing import ANNOTATIONS, BUNDLE, Signer
from pipeline.attestations.signing import NAME as SIGNATURE
from pipeline.build.image import Image
from pipeline.checkout import ImageSource
from pipeline.config.image_toml import Platform
from pipeline.errors import Code, PipelineError
from pipeline.locks import base_images
from pipeline.locks.image_lock import LOCK
from pipeline.output.formats import SbomFormat
from pipeline.registry.attachment import Attachment
from pipeline.registry.oci_layout import Artifact
from pipeline.updates.base_images import built_on

#: What the bills of materials are called in reports, and the types by which clients find them.
BILLS: Final[Mapping[SbomFormat, tuple[str, str]]] = {
    SbomFormat.CYCLONEDX: ("SBOM (CycloneDX)", "application/vnd.cyclonedx+json"),
    SbomFormat.SPDX: ("SBOM (SPDX)", "application/spdx+json"),
}
PROVENANCE: Final = ("provenance", "application/vnd.in-toto+json")


def names(platforms: Sequence[Platform], *, signed: bool) -> tuple[str, ...]:
    """What is attached to an image, in reports' words."""
    bills = (_name(form, platform, platforms) for platform in platforms for form in BILLS)
    return (*bills, PROVENANCE[0], *([SIGNATURE] if signed else []))


def signature(digest: str, signer: Signer, file: dagger.File | None = None) -> Attachment:
    """A signature of an image: any that the signer made is as good."""
    return Attachment(SIGNATURE, BUNDLE, digest, file, ANNOTATIONS, signer.check(digest))


async def attachments(
    source: ImageSource, built: Mapping[Platform, Image], artifact: Artifact, builder: str
) -> tuple[Attachment, ...]:
    """All documents about an image but its signature, in the order of :func:`names`.

    Args:
        source: the image.
        built: it, for each of its platforms.
        artifact: it, as it is pushed.
        builder: URI of who builds it.

    Raises:
        PipelineError: something else is in it than was locked, or what it is built on cannot be found.
    """
    found: dict[str, Attachment] = {}
    platforms = list(built)

    async def bill(platform: Platform, subject: str) -> None:
        said = await describe(source, platform, built[platform].container)

        async def add(form: SbomFormat) -> None:
            name = _name(form, platform, platforms)
            file = await write(said, form, source.settings.fetch_base)
            found[name] = Attachment(name, BILLS[form][1], subject, file)

        async with anyio.create_task_group() as tasks:
            for form in BILLS:
                tasks.start_soon(add, form)

    for platform, subject in zip(platforms, artifact.manifests, strict=True):
        await bill(platform, subject)
    statement = provenance.describe(source.name, artifact.digest, await made_from(source, platforms), builder)
    name, media_type = PROVENANCE
    found[name] = Attachment(
        name,
        media_type,
        artifact.digest,
        dag.file(f"{source.name}.provenance.json", statement),
        {"in-toto.io/predicate-type": provenance.PREDICATE_TYPE},
    )
    return tuple(found[name] for name in names(platforms, signed=False))


async def made_from(source: ImageSource, platforms: Sequence[Platform]) -> list[provenance.Resource]:
    """What an image is made from: the commit, the lock and the base images, as far as they are known.

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
        # A tag is resolved once for all platforms: to the index, where there is one.
        base = dag.container(platform=dagger.Platform(platforms[0])).from_(address)
        try:
            found.append(provenance.of_image(await base.image_ref()))
        except dagger.QueryError as error:
            raise PipelineError(
                Code.BASE_IMAGE_UNAVAILABLE, f"{image}: base image {address} cannot be found: {error}; try again later"
            ) from error
    return found


def _name(form: SbomFormat, platform: Platform, platforms: Sequence[Platform]) -> str:
    name = BILLS[form][0]
    return name if len(platforms) == 1 else f"{name} of {platform}"
