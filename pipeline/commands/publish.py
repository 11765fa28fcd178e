"""Publishing in all registries: every one has an image at the same digest before any floating tag moves to it.

The order is: plan the tags, query every registry, build and test, push the immutable tags everywhere and read them
back, attach SBOMs, provenance and signature, and move the floating tags only when all registries agree. So the image
at `latest` always has its SBOMs. The next run completes one that was interrupted at any point.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Final

import dagger

from pipeline.attestations.attach import attachments, names, sign_documents
from pipeline.attestations.provenance import BY_HAND
from pipeline.attestations.signer import Signer, Signing
from pipeline.attestations.signing import check_tools, find_signer
from pipeline.attestations.sigstore import find_sigstore
from pipeline.checkout import Checkout
from pipeline.concurrency import results_of
from pipeline.config.settings import Settings
from pipeline.credentials.registry_auth import RegistryAuth, find_logins
from pipeline.errors import Code, PipelineError
from pipeline.git.ancestry import Order, compare_commits
from pipeline.output.formats import Format, ResultFormat
from pipeline.publishing.report import Published, draw, explain
from pipeline.publishing.repositories import published_commit, repositories
from pipeline.publishing.state import Publication, RepositoryState
from pipeline.publishing.tag_policy import plan_checkout, with_sif
from pipeline.registry.client import Destination, Registry, describe_failure
from pipeline.registry.oci_layout import make_artifact
from pipeline.registry.sif_layout import make_sif
from pipeline.scripts.messages import Kind
from pipeline.smoke.probe_images import probe_images
from pipeline.smoke.results import require_passed

EXAMPLE_SOURCE: Final = "https://github.com/maniaclab/ml_platform"
#: Tries to move tags in a repository whose tags change at the same time.
ROUNDS: Final = 5


def _notes(settings: Settings) -> list[str]:
    """Return a sentence for each setting without which an image is published with less than it could have."""
    if settings.source:
        return []
    return [f"labels and provenance name no repository; set 'source' in {settings.file}, such as {EXAMPLE_SOURCE}"]


class Publisher:
    """One run of ``publish``."""

    def __init__(
        self,
        checkout: Checkout,
        ref: str,
        publications: list[Publication],
        builder: str,
        signing: Signing | None = None,
    ) -> None:
        self._checkout = checkout
        self._builder = builder
        self._signing = signing
        self._signer: Signer | None = None
        self._ref = ref
        self._publications = publications
        self._registry = Registry(checkout.settings)
        self._warnings: list[str] = []

    async def run(self, *, dry_run: bool) -> Published:
        """Publish, and return the report; with ``dry_run``, only query the registries and report what would be done.

        Raises:
            PipelineError: a registry rejects the credentials or the push, an image cannot be built, its probes fail,
                or an immutable tag is another image.
        """
        await self._ask(writes=not dry_run)
        if dry_run:
            self._warnings = [text for made in self._publications for text in made.warnings]
        else:
            await self._make()
            await results_of(self._publish, self._publications)
        digests = {made.image: made.artifact.digest for made in self._publications if made.artifact}
        return Published(
            ref=self._ref,
            dry_run=dry_run,
            digests=digests,
            sifs={
                made.image: sif.digest for made in self._publications if made.artifact and (sif := made.artifact.sif)
            },
            rows=tuple(row for made in self._publications for row in made.rows()),
            notes=tuple(
                dict.fromkeys(
                    [
                        *self._warnings,
                        *(note for made in self._publications for note in made.notes),
                        *_notes(self._checkout.settings),
                    ]
                )
            ),
        )

    async def _ask(self, *, writes: bool) -> None:
        """Query every repository for the digests of the tags; with ``writes``, check the permission to push too."""
        denied: set[str] = set()

        async def ask(asked: tuple[Publication, RepositoryState]) -> None:
            publication, state = asked
            tags = publication.tags
            report = await self._registry.ask(state.to, tags.immutable, tags.floating, writes=writes)
            state.take(report)
            # A transient failure may be over when the image is built.
            if report.failure and report.failure.kind is not Kind.TRANSIENT:
                denied.add(f"{state.to.repository}: {describe_failure(report.failure)}")

        waiting = self._publications
        while waiting:
            await results_of(ask, [(made, state) for made in waiting for state in made.states])
            waiting = [made for made in waiting if made.lengthen()]
        if denied:
            raise PipelineError(
                Code.REGISTRY_DENIED,
                f"nothing was built, because a registry does not take it: {'; '.join(sorted(denied))}; "
                "check its credentials, and that they may push there",
            )
        for made in self._publications:
            if all(state.failure for state in made.states):
                reasons = "; ".join(f"{state.to.repository}: {state.failure}" for state in made.states)
                raise PipelineError(
                    Code.REGISTRY_UNREACHABLE,
                    f"nothing was built, because no registry can be reached: {reasons}; try again later",
                )

    async def _make(self) -> None:
        """Build and test all images, before anything is pushed."""
        settings = self._checkout.settings
        # First, so that an unusable key fails before an hour of building.
        self._signer = await find_signer(settings, self._signing) if self._signing else None
        images = [self._checkout.image(made.image) for made in self._publications]
        require_passed(await probe_images(images, gpu=False), ResultFormat.TABLE)

        async def export(made: Publication) -> None:
            source = self._checkout.image(made.image)
            built = await source.build_all()
            images = list(built.values())
            artifact = await make_artifact(settings, images, made.made, made.compression, self._checkout.logins)
            if source.spec.sif:
                artifact = replace(artifact, sif=await make_sif(settings, images, made.made, artifact))
            # Before anything is pushed: an image that does not hold what was locked must not be published.
            made.attachments = await attachments(source, built, artifact, self._builder)
            if self._signing and self._signer:
                documents = (source, self._signing, self._signer, artifact, made.attachments)
                made.attachments += await sign_documents(*documents)
            made.artifact = artifact

        await results_of(export, self._publications)
        taken = [text for made in self._publications for text in made.conflicts()]
        if taken:
            raise PipelineError(
                Code.TAG_TAKEN,
                f"nothing was pushed, because a published tag is never given to another image: {'; '.join(taken)}; "
                "publish under a new version",
            )

    async def _publish(self, made: Publication) -> None:
        """Push an image and its attachments to all repositories, and move tags when all of them are complete."""
        artifact = made.artifact
        if artifact is None:
            return
        tools = check_tools(self._checkout.settings, self._signer)

        async def push(state: RepositoryState) -> None:
            state.take(await self._registry.push(state.to, artifact, made.tags.immutable, made.tags.floating))
            if not state.failure:
                state.take_attached(await self._registry.attach(state.to, made.attachments, tools))

        await results_of(push, made.states)
        for _ in range(ROUNDS):
            # Before the moves, which change what was decided about.
            self._warnings += made.warnings
            # Decided for all repositories at once, from the reports of all.
            moves = [(state, made.to_move(state)) for state in made.states]
            known = made.existing

            async def move(step: tuple[RepositoryState, list[str]], known: set[str] = known) -> None:
                state, tags = step
                standing = state.report.digests
                moved = await self._registry.move(state.to, artifact, tags, made.tags.floating, known, standing)
                state.take(moved)

            await results_of(move, [(state, tags) for state, tags in moves if tags])
            if not any(state.report.changed for state, tags in moves if tags):
                return


async def publish(  # noqa: PLR0913  # options of the command
    checkout: Checkout,
    ref: str,
    *,
    image: str | None,
    registries: Sequence[str],
    commit: str | None,
    builder: str | None,
    signing: Signing | None,
    auths: Sequence[RegistryAuth],
    docker_config: dagger.Secret | None,
    dry_run: bool,
    form: Format,
) -> str:
    """Plan the tags and repositories, publish, and return the report.

    Raises:
        PipelineError: before any push, the ref gives no tags, a registry has no credentials or rejects them, or an
            image cannot be built or fails its probes; or a tag or attachment is missing in the end, and the error has
            the report.
    """
    if signing:
        signing = replace(signing, sigstore=find_sigstore(checkout.source, checkout.settings))
    tags = plan_checkout(ref, commit, checkout.commit_of(image))
    specs = {source.name: source.spec for source in checkout.images(image)}
    targets = {name: repositories(name, spec, checkout.settings, registries) for name, spec in specs.items()}
    every = [repository for repository_names in targets.values() for repository in repository_names]
    logins = await find_logins(every, auths, docker_config)
    published = published_commit(checkout.commit, commit)
    order = cache(partial(compare_commits, checkout.path, published.sha)) if published else lambda _: Order.UNKNOWN
    publications = [
        Publication(
            name,
            with_sif(tags) if specs[name].sif else tags,
            [RepositoryState(Destination(repository, logins[repository])) for repository in repository_names],
            documents=names(specs[name].platforms, signed=signing is not None, sif=specs[name].sif),
            compression=specs[name].compression,
            commit=published.sha if published else commit or "",
            made=published.time if published else None,
            order=order,
        )
        for name, repository_names in targets.items()
    ]
    report = await Publisher(checkout, ref, publications, builder or BY_HAND, signing).run(dry_run=dry_run)
    if report.incomplete:
        raise PipelineError(Code.PUBLISH_INCOMPLETE, f"{explain(report)}\n{draw(report, form)}")
    return draw(report, form)
