"""Verification of a published image: build it again, compare the digests, and list the differences."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import dagger
from pydantic import TypeAdapter, ValidationError

from pipeline.attestations.attach import signed_about_image, signed_sboms
from pipeline.attestations.signer import Signer
from pipeline.attestations.signing import check_tools
from pipeline.attestations.sigstore import find_sigstore
from pipeline.attestations.statements import SignedDocument
from pipeline.build.tool_container import with_packages, with_scripts
from pipeline.checkout import Checkout
from pipeline.concurrency import results_of
from pipeline.config.image_toml import Compression
from pipeline.config.settings import Settings
from pipeline.credentials.registry_auth import Login, RegistryAuth, find_logins
from pipeline.engine_errors import reason_of
from pipeline.errors import Code, PipelineError
from pipeline.output.tables import draw_table
from pipeline.publishing.repositories import repositories
from pipeline.registry.artifact import LAYOUT, Artifact
from pipeline.registry.client import Destination, Registry, client, describe_failure, with_job
from pipeline.registry.oci_layout import make_artifact
from pipeline.scripts.layer_format import NEW, is_known
from pipeline.scripts.messages import Comparison, Kind, RegistryFailure

DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
#: Number of differences in a message; the first ones show the cause.
SHOWN = 20


def choose_digest(digest: str | None, *, sif: bool) -> str:
    """Return the digest to verify; an empty string for a SIF file.

    Raises:
        PipelineError: there is neither, or both.
    """
    if (digest is not None) == sif:
        raise PipelineError(
            Code.OPTION_CONFLICT, "verify needs --digest of an image or --sif with a SIF file, and not both; name one"
        )
    return digest or ""


async def verify(  # noqa: PLR0913  # options of the command
    checkout: Checkout,
    image: str,
    digest: str,
    *,
    repository: str | None,
    signer: Signer | None,
    auths: Sequence[RegistryAuth],
    docker_config: dagger.Secret | None,
) -> str:
    """Build an image, and compare its digest with a published one.

    Args:
        checkout: the checkout with the image, at the published commit.
        image: the image's name.
        digest: the digest of the published image.
        repository: the repository of the published image. If None, the image is read from the first of its own
            repositories, and a signature is required in all of them.
        signer: the signer to require, of the image, its SBOMs and its provenance; None to require no signature, but the
            image in that repository.
        auths: credentials for registries; without any here and in ``docker_config``, access is anonymous.
        docker_config: Docker's own configuration with credentials.

    Raises:
        PipelineError: the image cannot be built, it or a signature is missing, or the digests differ; the error lists
            the differences.
    """
    if not DIGEST.fullmatch(digest):
        raise PipelineError(
            Code.DIGEST_UNKNOWN,
            f"{image}: --digest {digest} is no digest of an image; give the one that the report of 'publish' has, "
            "such as sha256: and 64 hexadecimal digits",
        )
    source = checkout.image(image)
    names = [repository] if repository else repositories(image, source.spec, checkout.settings, [])
    name = names[0]
    # Published images are public, as a rule.
    logins = dict.fromkeys(names, Login(""))
    if auths or docker_config:
        logins = await find_logins(names if signer else names[:1], auths, docker_config)
    several = len(source.spec.platforms) > 1
    destinations: list[Destination] = []
    if signer:
        destinations = [Destination(repository, logins[repository]) for repository in names]
        signer = replace(signer, trusted_root=find_sigstore(checkout.source, checkout.settings).trusted_root)
        documents = signed_about_image(digest)
        # The manifests of several platforms are known when these are built.
        documents += [] if several else signed_sboms(source.spec.platforms, [digest])
        await require_signed(checkout.settings, image, digest, destinations, signer=signer, documents=documents)
        known = f"it is signed with its SBOMs and its provenance in {', '.join(names)}"
    report = await Registry(checkout.settings).require(Destination(name, logins[name]), digest)
    if not signer:
        known = explain_published(image, digest, name, report.failure)
    formats = formats_to_make(image, digest, name, report.layer_format, source.spec.compression)
    images = list((await source.build_all()).values())
    made = checkout.commit.time if checkout.commit else None
    for number in formats:
        artifact = await make_artifact(
            checkout.settings, images, made, source.spec.compression, checkout.logins, layer_format=number
        )
        if artifact.digest == digest:
            break
    if artifact.digest == digest:
        if signer and several:
            documents = signed_sboms(source.spec.platforms, artifact.manifests)
            await require_signed(checkout.settings, image, digest, destinations, signer=signer, documents=documents)
        return f"{image} is {digest}: {known}; built here, it is the same bytes\n"
    comparison = await _compare(checkout.settings, Destination(name, logins[name]), digest, artifact)
    raise PipelineError(Code.DIGEST_MISMATCH, explain(image, name, digest, artifact.digest, comparison))


def formats_to_make(image: str, digest: str, name: str, published: int | None, compression: Compression) -> list[int]:
    """Return the formats of layers in which an image is built: the published one's, or all if that is not known.

    Raises:
        PipelineError: this release cannot make it.
    """
    if published is None:
        return list(range(NEW[compression], 0, -1))
    if not is_known(published):
        raise PipelineError(
            Code.LAYER_FORMAT_UNKNOWN,
            f"{image}: the layers of {name}@{digest} have format {published}, which this release of the pipeline does "
            "not know; verify it with the release that published it, or with a newer one",
        )
    return [published]


def explain_published(image: str, digest: str, name: str, failure: RegistryFailure | None) -> str:
    """Return a clause about an image in a repository: it is there, or that is not known.

    Raises:
        PipelineError: the repository does not have it.
    """
    if failure is None:
        return f"it is published in {name}"
    if failure.kind is Kind.MISSING:
        raise PipelineError(
            Code.DIGEST_UNKNOWN,
            f"{image}: {name} has no image {digest} ({failure.reason}); correct the digest, or name the "
            "repository that has it with --repository",
        )
    return f"whether it is published in {name} is not known, because {describe_failure(failure)}"


async def require_signed(  # noqa: PLR0913  # facts of one question
    settings: Settings,
    image: str,
    digest: str,
    destinations: Sequence[Destination],
    *,
    signer: Signer,
    documents: Sequence[SignedDocument],
) -> None:
    """Require signed documents about an image in each of its repositories.

    Raises:
        PipelineError: a repository lacks a document with a valid signature by the signer, or cannot be read; all such
            are named.
    """
    required = [document.attachment(signer) for document in documents]

    async def look(destination: Destination) -> str:
        report = await Registry(settings).attach(destination, required, check_tools(settings, signer))
        return f"{destination.repository}: {report.failure.reason}" if report.failure else ""

    failures = sorted(filter(None, await results_of(look, destinations)))
    if failures:
        reasons = "; ".join(failures)
        raise PipelineError(
            Code.SIGNATURE_MISSING,
            f"{image}: {digest} is not signed by {signer}, with its SBOMs and its provenance, in {len(failures)} of "
            f"{len(destinations)} repositories ({reasons}); do not use it from there; ask its publisher to publish it "
            "again, signed",
        )


def explain(image: str, repository: str, digest: str, built: str, comparison: Comparison) -> str:
    """Return the message for an image that differs from the published one: a sentence, and a table of differences."""
    text = f"{image}: built here it is {built}, and not {digest} of {repository}"
    if comparison.failure:
        return f"{text}; what differs is not known, because the published one cannot be read: {comparison.failure}"
    rows = [(row.location, row.path, row.what, row.published, row.built) for row in comparison.differences[:SHOWN]]
    more = len(comparison.differences) - len(rows) + comparison.more
    table = draw_table(("where", "what", "differs in", "published", "built"), rows)
    rest = f"and {more} more\n" if more else ""
    count = len(comparison.differences) + comparison.more
    return f"{text}; {count} differences, of which a build of the same commit has none:\n{table}{rest}"


async def _compare(settings: Settings, published: Destination, digest: str, artifact: Artifact) -> Comparison:
    container = (
        client(settings)
        .with_(with_packages("layers.lock"))
        .with_(with_scripts("listing.py", "compare.py"))
        .with_mounted_directory(LAYOUT, artifact.layout)
        .with_(with_job(settings, published, "compare", digest=digest))
    )
    try:
        command = ["python", "-m", "pipeline.scripts.compare", "/job.json", LAYOUT]
        return TypeAdapter(Comparison).validate_json(await container.with_exec(command).stdout())
    except dagger.ExecError as error:
        return Comparison(failure=f"the step that compares did not run: {reason_of(error)}")
    except ValidationError:
        return Comparison(failure="the step that compares gave no report")
