"""Attachments of an image in each registry: SBOMs, provenance and signature.

Clients find them by the image's digest. An image for several platforms has an SBOM for each, attached to the manifest
of the platform, since each platform has its own packages. Provenance and signature are attached to the tagged image.
Where an image is signed, its SBOMs and provenance are too: beside each plain document, which programs find by its media
type, there is a bundle with a signed statement of the same content.

A user of a SIF does not know the digest of its image, so everything is attached to the SIF as well: the same SBOMs,
because its files are the image's, and a provenance of its own.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import dagger
from dagger import dag

from pipeline.attestations import provenance
from pipeline.attestations.sbom import describe, write
from pipeline.attestations.signer import Signer, Signing
from pipeline.attestations.signing import sign
from pipeline.attestations.statements import SIGNATURE_TYPE, SignedDocument, write_signature, write_statement
from pipeline.build.image import Image
from pipeline.checkout import ImageSource
from pipeline.concurrency import results_of
from pipeline.config.image_toml import Platform
from pipeline.locks import base_images
from pipeline.locks.digests import has_digest
from pipeline.locks.image_lock import LOCK
from pipeline.output.formats import SbomFormat
from pipeline.registry.artifact import Artifact
from pipeline.registry.attachment import Attachment
from pipeline.registry.base_layers import resolve


class DocumentKind(NamedTuple):
    """A kind of document about an image."""

    name: str
    """The name in reports."""

    media_type: str
    """The media type, by which clients find it."""

    predicate_type: str
    """The type of its content in a statement, by which clients find it where it is signed."""


SBOMS: Final[Mapping[SbomFormat, DocumentKind]] = {
    SbomFormat.CYCLONEDX: DocumentKind(
        "SBOM (CycloneDX)", "application/vnd.cyclonedx+json", "https://cyclonedx.org/bom"
    ),
    SbomFormat.SPDX: DocumentKind("SBOM (SPDX)", "application/spdx+json", "https://spdx.dev/Document"),
}
PROVENANCE: Final = DocumentKind("provenance", "application/vnd.in-toto+json", provenance.PREDICATE_TYPE)
#: Name of the signature in reports.
SIGNATURE: Final = "signature"


def names(platforms: Sequence[Platform], *, signed: bool, sif: bool = False) -> tuple[str, ...]:
    """Return the names of an image's attachments, as reports have them; with ``sif``, those of its SIF follow."""
    sboms = (_name(form, platform, platforms) for platform in platforms for form in SBOMS)
    plain = (*sboms, PROVENANCE.name)
    every = (*plain, *map(_signed, plain), SIGNATURE) if signed else plain
    return (*every, *map(_of_sif, every)) if sif else every


def signed_sboms(platforms: Sequence[Platform], manifests: Iterable[str]) -> list[SignedDocument]:
    """Return the signed SBOMs of an image, or of its SIF.

    Args:
        platforms: the image's platforms.
        manifests: the digest of each platform's manifest.
    """
    return [
        SignedDocument(_signed(_name(form, platform, platforms)), kind.predicate_type, manifest)
        for platform, manifest in zip(platforms, manifests, strict=True)
        for form, kind in SBOMS.items()
    ]


def signed_about_image(digest: str) -> list[SignedDocument]:
    """Return the signed documents about the digest that tags have, of an image or a SIF: signature and provenance."""
    return [
        SignedDocument(SIGNATURE, SIGNATURE_TYPE, digest),
        SignedDocument(_signed(PROVENANCE.name), PROVENANCE.predicate_type, digest),
    ]


async def sign_documents(
    source: ImageSource, signing: Signing, signer: Signer, artifact: Artifact, plain: Iterable[Attachment]
) -> tuple[Attachment, ...]:
    """Sign an image, its SIF, their SBOMs and their provenance, and return the attachments.

    Args:
        source: the image.
        signing: the means to sign.
        signer: the signer of all signatures.
        artifact: the image as it is pushed.
        plain: its SBOMs and its provenance.

    Raises:
        PipelineError: it cannot be signed, or the signature is by another signer.
    """
    files = {_signed(each.name): each.file for each in plain if each.file}
    statements: dict[SignedDocument, dagger.File] = {}
    about, sboms = signed_about_image(artifact.digest), signed_sboms(source.spec.platforms, artifact.manifests)
    if sif := artifact.sif:
        about += map(_signed_of_sif, signed_about_image(sif.digest))
        sboms += map(_signed_of_sif, signed_sboms(source.spec.platforms, sif.manifests))
    for document in about:
        # The provenance is a statement already.
        statements[document] = files.get(document.name) or write_signature(document)
    for document in sboms:
        file = files[document.name]
        statements[document] = write_statement(document, source.name, file, source.settings.fetch_base)
    bundles = await sign(source.settings, signing, signer, statements)
    # A signature says nothing but the digest, so one that cosign itself has made is as good.
    compared = {document: file for document, file in statements.items() if document.predicate_type != SIGNATURE_TYPE}
    attached = {each.name: each.attachment(signer, bundle, compared.get(each)) for each, bundle in bundles.items()}
    every = names(source.spec.platforms, signed=True, sif=artifact.sif is not None)
    return tuple(attached[name] for name in every if name in attached)


async def attachments(
    source: ImageSource, built: Mapping[Platform, Image], artifact: Artifact, builder: str
) -> tuple[Attachment, ...]:
    """Return all attachments of an image and its SIF that are not signed, in the order of :func:`names`.

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
            attached[name] = Attachment(name, SBOMS[form].media_type, subject, file)

        await results_of(add, SBOMS)

    for platform, subject in zip(platforms, artifact.manifests, strict=True):
        await add_sboms(platform, subject)
    materials = await made_from(source, platforms)
    statement = provenance.describe(source.name, artifact.digest, materials, builder)
    attached[PROVENANCE.name] = _attach_provenance(source.name, artifact.digest, statement)
    if sif := artifact.sif:
        subjects = dict(zip(artifact.manifests, sif.manifests, strict=True))
        for sbom in [each for name, each in attached.items() if name != PROVENANCE.name]:
            attached[_of_sif(sbom.name)] = replace(sbom, name=_of_sif(sbom.name), subject=subjects[sbom.subject])
        tool = source.settings.apptainer
        materials += [provenance.of_image(tool)] if has_digest(tool) else []
        statement = provenance.describe_sif(source.name, sif.digest, artifact.digest, materials, builder)
        document = _attach_provenance(f"{source.name}.sif", sif.digest, statement)
        attached[_of_sif(document.name)] = replace(document, name=_of_sif(document.name))
    return tuple(attached[name] for name in names(platforms, signed=False, sif=artifact.sif is not None))


def _attach_provenance(name: str, digest: str, statement: str) -> Attachment:
    return Attachment(
        PROVENANCE.name,
        PROVENANCE.media_type,
        digest,
        dag.file(f"{name}.provenance.json", statement),
        {"in-toto.io/predicate-type": provenance.PREDICATE_TYPE},
    )


async def made_from(source: ImageSource, platforms: Sequence[Platform]) -> list[provenance.Resource]:
    """Return the materials of an image: commit, lock, images, downloaded files, and the tool image that packs layers.

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
        addresses = [image.name for image in source.named_images()]
    # Each tag is resolved once for all platforms: to the index, if there is one.
    first = dagger.Platform(platforms[0])
    found += [provenance.of_image(await resolve(image, address, first)) for address in dict.fromkeys(addresses)]
    found += [provenance.of_download(file.url, file.sha256) for file in spec.files if file.url and file.sha256]
    if has_digest(settings.fetch_base):
        found.append(provenance.of_image(settings.fetch_base))
    return found


def _name(form: SbomFormat, platform: Platform, platforms: Sequence[Platform]) -> str:
    name = SBOMS[form].name
    return name if len(platforms) == 1 else f"{name} of {platform}"


def _signed(name: str) -> str:
    """Return the name of a document's signed form in reports."""
    return f"signed {name}"


def _of_sif(name: str) -> str:
    """Return the name of a document in reports that is attached to the SIF."""
    return f"{name} of the SIF"


def _signed_of_sif(document: SignedDocument) -> SignedDocument:
    return replace(document, name=_of_sif(document.name))
