"""Verification of a published image: build it again, compare the digests, and list the differences."""

from collections.abc import Sequence
from dataclasses import replace

import dagger
from pydantic import TypeAdapter, ValidationError

from pipeline.attestations.attach import signature
from pipeline.attestations.signing import Signer, check_tools
from pipeline.attestations.sigstore import find_sigstore
from pipeline.build.tool_container import last_line, with_packages, with_scripts
from pipeline.checkout import Checkout
from pipeline.commands.publish import repositories
from pipeline.concurrency import results_of
from pipeline.config.settings import Settings
from pipeline.credentials.registry_auth import Login, RegistryAuth, find_logins, host_of
from pipeline.errors import Code, PipelineError
from pipeline.output.tables import draw_table
from pipeline.registry.artifact import LAYOUT, Artifact
from pipeline.registry.client import Destination, Registry, client, with_job
from pipeline.registry.oci_layout import make_artifact
from pipeline.scripts.messages import Comparison

#: Number of differences in a message; the first ones show the cause.
SHOWN = 20


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
        signer: the signer to require; None to require no signature.
        auths: credentials for registries; without any here and in ``docker_config``, access is anonymous.
        docker_config: Docker's own configuration with credentials.

    Raises:
        PipelineError: the image cannot be built, a signature is missing, or the digests differ; the error lists the
            differences.
    """
    source = checkout.image(image)
    names = [repository] if repository else repositories(image, source.spec, checkout.settings, [])
    name = names[0]
    hosts = [host_of(repository) for repository in names]
    # Published images are public, as a rule.
    logins = dict.fromkeys(hosts, Login("", None))
    if auths or docker_config:
        logins = await find_logins(hosts if signer else hosts[:1], auths, docker_config)
    if signer:
        signer = replace(signer, trusted_root=find_sigstore(checkout.source, checkout.settings).trusted_root)
        destinations = [Destination(repository, logins[host_of(repository)]) for repository in names]
        await require_signed(checkout.settings, image, digest, destinations, signer)
    images = list((await source.build_all()).values())
    made = checkout.commit.time if checkout.commit else None
    artifact = await make_artifact(checkout.settings, images, made, source.spec.compression, checkout.logins)
    if artifact.digest == digest:
        signed = f"it is signed in {', '.join(names)}; " if signer else ""
        return f"{image} is {digest}: {signed}built here, it is the published image to the last byte\n"
    comparison = await _compare(checkout.settings, Destination(name, logins[hosts[0]]), digest, artifact)
    raise PipelineError(Code.DIGEST_MISMATCH, explain(image, name, digest, artifact.digest, comparison))


async def require_signed(
    settings: Settings, image: str, digest: str, destinations: Sequence[Destination], signer: Signer
) -> None:
    """Require a signature of an image in each of its repositories.

    Raises:
        PipelineError: a repository has no valid signature by the signer, or cannot be read; all such are named.
    """

    async def look(destination: Destination) -> str:
        report = await Registry(settings).attach(
            destination, [signature(digest, signer)], check_tools(settings, signer)
        )
        return f"{destination.repository}: {report.failure.reason}" if report.failure else ""

    failures = sorted(filter(None, await results_of(look, destinations)))
    if failures:
        reasons = "; ".join(failures)
        raise PipelineError(
            Code.SIGNATURE_MISSING,
            f"{image}: {digest} has no signature of {signer} in {len(failures)} of {len(destinations)} repositories "
            f"({reasons}); do not use it from there; ask its publisher to publish it again, signed",
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
        .with_(with_packages("zstd.lock"))
        .with_(with_scripts("listing.py", "compare.py"))
        .with_mounted_directory(LAYOUT, artifact.layout)
        .with_(with_job(settings, published, "compare", digest=digest))
    )
    try:
        command = ["python", "-m", "pipeline.scripts.compare", "/job.json", LAYOUT]
        return TypeAdapter(Comparison).validate_json(await container.with_exec(command).stdout())
    except dagger.ExecError as error:
        return Comparison(failure=f"the step that compares did not run: {last_line(error)}")
    except ValidationError:
        return Comparison(failure="the step that compares gave no report")
