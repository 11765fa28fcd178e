"""Build, test and publish the container images of MaNIAC Lab.

An image is a top-level folder with an image.toml; `images` lists them. Results can be chained: `build --image
ml_platform terminal` opens a shell in the image, `… as-tarball export --path out/FILE` writes it to a file.
"""

import logging
from typing import TYPE_CHECKING, Annotated, Self

import dagger
from dagger import DefaultPath, Doc, Ignore, Name, check, field, function, object_type

from pipeline.config.image_kind import ImageKind
from pipeline.credentials.build_secrets import BuildSecret, check_id
from pipeline.credentials.channel_auth import ChannelAuth, check_arguments
from pipeline.credentials.registry_auth import RegistryAuth, check_address
from pipeline.engine_errors import explained
from pipeline.errors import PipelineError
from pipeline.git.upload_filter import HISTORY_LEFT_OUT, LEFT_OUT, require_filter
from pipeline.output.formats import Format, ResultFormat, SbomFormat

if TYPE_CHECKING:
    from pipeline.checkout import Checkout
    from pipeline.commands.check import Checker

# Functions import what they need themselves: the engine starts this module for every call, and a listing of its
# functions needs none of it.


class _OnlySurprises(logging.Filter):
    """Keep tracebacks for bugs: a PipelineError is reported by its sentence alone."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], PipelineError))


logging.getLogger("dagger.mod").addFilter(_OnlySurprises())


@object_type
class Pipeline:
    """Container images as code: build, test and publish them, the same on a laptop and in CI."""

    source: Annotated[
        dagger.Directory,
        DefaultPath("/"),
        Ignore([*LEFT_OUT]),
        Doc("Checkout with the images, and their settings in images.toml or in [tool.pipeline] of pyproject.toml"),
    ]

    auths: list[RegistryAuth] = field(default=list, init=False)

    channel_auths: list[ChannelAuth] = field(default=list, init=False)

    build_secrets: list[BuildSecret] = field(default=list, init=False)

    @function
    @explained
    async def images(self) -> str:
        """List the images of the checkout with their descriptions"""
        from pipeline.commands.images import list_images

        return list_images(await self._open())

    @function
    @explained
    async def build(
        self,
        image: Annotated[str, Doc("Name of the image: a top-level folder with an image.toml")],
        platform: Annotated[str | None, Doc("Platform, such as linux/arm64; default: the first in image.toml")] = None,
    ) -> dagger.Container:
        """Build an image, and return it as a container to run, export or open a terminal in"""
        return (await (await self._open()).image(image).build(platform)).container

    @function
    @explained
    async def smoke_test(
        self,
        image: Annotated[str | None, Doc("Name of the image; default: every image")] = None,
        gpu: Annotated[bool, Doc("Give the probes the GPUs of the engine, and fail if they find none")] = False,
        format: Annotated[ResultFormat, Doc("Format of the report")] = ResultFormat.TABLE,
    ) -> str:
        """Run an image's probes and report each result; fail if any probe fails"""
        from pipeline.commands.smoke_test import smoke_test
        from pipeline.smoke.results import require_passed

        return require_passed(await smoke_test(await self._open(), image, gpu=gpu), format)

    # Never cached: the report of a failure must not outlive its cause.
    @function(cache="never")  # type: ignore[call-overload, untyped-decorator]  # its overloads do not know `cache`
    @explained
    async def smoke_report(
        self,
        image: Annotated[str | None, Doc("Name of the image; default: every image")] = None,
        gpu: Annotated[bool, Doc("Give the probes the GPUs of the engine, and report if they find none")] = False,
        format: Annotated[ResultFormat, Doc("Format of the report")] = ResultFormat.JUNIT,
    ) -> dagger.File:
        """Run an image's probes and return the report as a file, also if a probe fails"""
        from pipeline.commands.smoke_test import smoke_test
        from pipeline.smoke.results import FILES, write

        results = await smoke_test(await self._open(), image, gpu=gpu)
        return dagger.dag.file(FILES[format], write(results, format))

    @function
    @explained
    async def tags(
        self,
        tag: Annotated[
            str, Doc("Ref to publish: a version such as v2026.2.0, a pre-release such as v2026.2.0rc1, or main")
        ],
        commit: Annotated[str | None, Doc("Commit that is published; default: the commit of the checkout")] = None,
        format: Annotated[Format, Doc("Format of the report")] = Format.TABLE,
    ) -> str:
        """List the tags that publishing a ref gives each image, without publishing"""
        from pipeline.publishing import tag_policy

        checkout = await self._open()
        tags = tag_policy.plan_checkout(tag, commit, checkout.commit)
        sifs = [image.name for image in checkout.images() if image.spec.sif]
        return tag_policy.draw(tag_policy.report(tag, tags, sifs), format)

    @function
    @explained
    async def cvmfs_lines(
        self,
        image: Annotated[str | None, Doc("Name of the image; default: every image")] = None,
        tag: Annotated[
            list[str] | None, Doc("Tags to propose, or patterns such as 2026.*; default: latest, which moves")
        ] = None,
    ) -> str:
        """Write the lines that propose images to the CVMFS repositories of CERN and OSG"""
        from pipeline.commands.cvmfs_lines import propose

        return propose(await self._open(), image, tag or ["latest"])

    @function
    def with_registry_auth(
        self,
        address: Annotated[str, Doc("Registry or namespace, such as ghcr.io or ghcr.io/maniaclab")],
        username: Annotated[str, Doc("User name")],
        secret: Annotated[dagger.Secret, Doc("Password or token, such as env:GITHUB_TOKEN or file:PATH")],
    ) -> Self:
        """Log in to a registry for the functions that follow, to pull and to publish; repeat for each registry"""
        auth = RegistryAuth(address=check_address(address), username=username, secret=secret)  # type: ignore[call-arg]  # mypy does not know Dagger's fields
        self.auths.append(auth)
        return self

    @function
    def with_channel_auth(
        self,
        host: Annotated[str, Doc("Host of a channel or package index, such as conda.example.org")],
        token: Annotated[dagger.Secret | None, Doc("Token, such as env:CHANNEL_TOKEN or file:PATH")] = None,
        username: Annotated[str | None, Doc("User name, instead of a token")] = None,
        secret: Annotated[dagger.Secret | None, Doc("Password of the user, such as env:CHANNEL_PASSWORD")] = None,
    ) -> Self:
        """Log in to a channel or package index for the functions that follow; repeat for each host"""
        known = [auth.host for auth in self.channel_auths]
        name, user = check_arguments(host, username, token=token is not None, secret=secret is not None, known=known)
        auth = ChannelAuth(host=name, username=user, secret=token or secret)  # type: ignore[call-arg]  # as above
        self.channel_auths.append(auth)
        return self

    @function
    def with_build_secret(
        self,
        name: Annotated[str, Name("id"), Doc("Id of the secret, as in RUN --mount=type=secret,id=token")],
        secret: Annotated[dagger.Secret, Doc("Its value, such as env:TOKEN or file:PATH")],
    ) -> Self:
        """Give a secret to the steps of Dockerfiles that mount it, for the functions that follow; repeat for each id"""
        name = check_id(name, [given.name for given in self.build_secrets])
        self.build_secrets.append(BuildSecret(name=name, secret=secret))  # type: ignore[call-arg]  # as above
        return self

    @function(cache="never")  # type: ignore[call-overload, untyped-decorator]  # the SDK's overloads leave cache out
    @explained
    async def publish(  # noqa: PLR0913, PLR0917  # options of the CLI
        self,
        tag: Annotated[
            str, Doc("Ref to publish: a version such as v2026.2.0, a pre-release such as v2026.2.0rc1, or main")
        ],
        image: Annotated[str | None, Doc("Name of the image; default: every image")] = None,
        registries: Annotated[
            list[str] | None,
            Doc("Registries with a path, such as ghcr.io/maniaclab; default: the repositories of image.toml"),
        ] = None,
        commit: Annotated[str | None, Doc("Commit that is published; default: the commit of the checkout")] = None,
        builder: Annotated[
            str | None, Doc("URI of the build platform, for the provenance; default: built by hand")
        ] = None,
        signing_key: Annotated[
            dagger.Secret | None, Doc("Private key of cosign that signs the images, such as file:$HOME/cosign.key")
        ] = None,
        signing_password: Annotated[
            dagger.Secret | None, Doc("Password of the signing key, such as env:COSIGN_PASSWORD")
        ] = None,
        identity_token: Annotated[
            dagger.Secret | None,
            Doc("OpenID Connect token that signs the images without a key, such as cmd:COMMAND"),
        ] = None,
        certificate_identity: Annotated[
            str | None, Doc("Identity in the signer's certificate, such as an e-mail address")
        ] = None,
        certificate_oidc_issuer: Annotated[str | None, Doc("OIDC issuer of the signer's certificate, a URL")] = None,
        docker_config: Annotated[
            dagger.Secret | None,
            Doc("Docker's config.json, such as file:$HOME/.docker/config.json, for registries without credentials"),
        ] = None,
        dry_run: Annotated[bool, Doc("Report what would be done; only read the registries")] = False,
        format: Annotated[Format, Doc("Format of the report")] = Format.TABLE,
    ) -> str:
        """Build and test images, push them to every registry, and move tags once all registries agree"""
        from pipeline.attestations.signer import choose_signing
        from pipeline.commands.publish import publish

        return await publish(
            await self._open(docker_config),
            tag,
            image=image,
            registries=registries or [],
            commit=commit,
            builder=builder,
            signing=choose_signing(
                signing_key, signing_password, identity_token, certificate_identity, certificate_oidc_issuer
            ),
            auths=self.auths,
            docker_config=docker_config,
            dry_run=dry_run,
            form=format,
        )

    @function(cache="never")  # type: ignore[call-overload, untyped-decorator]  # its overloads do not know `cache`
    @explained
    async def verify(  # noqa: PLR0913, PLR0917  # options of the CLI
        self,
        image: Annotated[str, Doc("Name of the image")],
        digest: Annotated[str | None, Doc("Digest of the published image, such as sha256:0123…")] = None,
        sif: Annotated[dagger.File | None, Doc("SIF file of the image to compare, instead of --digest")] = None,
        repository: Annotated[
            str | None,
            Doc("Repository of the published image, such as ghcr.io/maniaclab/ml-platform; default: its first one"),
        ] = None,
        public_key: Annotated[
            dagger.File | None, Doc("Fail unless the image, its SBOMs and its provenance are signed by this public key")
        ] = None,
        certificate_identity: Annotated[
            str | None, Doc("Fail unless they are signed without a key by this identity")
        ] = None,
        certificate_oidc_issuer: Annotated[str | None, Doc("OIDC issuer of the signer's certificate, a URL")] = None,
        docker_config: Annotated[
            dagger.Secret | None,
            Doc("Docker's config.json, such as file:$HOME/.docker/config.json, for registries without credentials"),
        ] = None,
    ) -> str:
        """Build an image again, and fail with a list of differences unless it is the published one"""
        from pipeline.attestations.signer import choose_signer
        from pipeline.commands.verify import choose_digest, verify
        from pipeline.commands.verify_sif import verify_sif

        checkout = await self._open(docker_config)
        digest = choose_digest(digest, sif=sif is not None)
        if sif:
            return await verify_sif(checkout, image, sif)
        return await verify(
            checkout,
            image,
            digest,
            repository=repository,
            signer=choose_signer(public_key, certificate_identity, certificate_oidc_issuer),
            auths=self.auths,
            docker_config=docker_config,
        )

    @function(cache="never")  # type: ignore[call-overload, untyped-decorator]  # its overloads do not know `cache`
    @explained
    async def lock(
        self,
        image: Annotated[
            str | None,
            Doc("Name of the image; default: none, and the pipeline's tool images are locked, in tools.lock"),
        ] = None,
        package: Annotated[
            list[str] | None,
            Doc("Packages that may change, with their dependencies; default: all packages and the base images"),
        ] = None,
        check: Annotated[bool, Doc("Change nothing, and fail unless the lock is fresh")] = False,
    ) -> dagger.Changeset:
        """Lock the newest packages and base images of an image, or the pipeline's tool images, and offer to write it"""
        from pipeline.commands.lock import relock
        from pipeline.commands.lock_tools import relock_tools

        checkout = await self._open(pinned=check)
        if image is None:
            return await relock_tools(checkout, package or [], check=check)
        return await relock(checkout, image, package or [], check=check)

    @function(cache="never")  # type: ignore[call-overload, untyped-decorator]  # its overloads do not know `cache`
    @explained
    async def lock_diff(
        self,
        image: Annotated[str, Doc("Name of the image")],
        reference: Annotated[
            str,
            Name("from"),
            Doc("Previous lock: a commit, branch or tag of git, or a published image with its tag"),
        ] = "HEAD",
        from_file: Annotated[dagger.File | None, Doc("Previous lock as a file, instead of --from")] = None,
        format: Annotated[Format, Doc("Format of the report")] = Format.TABLE,
    ) -> str:
        """List the packages that changed in an image's pixi.lock, and the bytes to download"""
        from pipeline.commands.lock_diff import report_changes

        return await report_changes(await self._open(), image, reference, from_file, format)

    @function(cache="never")  # type: ignore[call-overload, untyped-decorator]  # its overloads do not know `cache`
    @explained
    async def outdated(
        self,
        image: Annotated[str | None, Doc("Name of the image; default: every image")] = None,
        docker_config: Annotated[
            dagger.Secret | None,
            Doc("Docker's config.json, such as file:$HOME/.docker/config.json, for registries without credentials"),
        ] = None,
        format: Annotated[Format, Doc("Format of the report")] = Format.TABLE,
    ) -> str:
        """List upstream versions of base images, CUDA and pixi, and known vulnerabilities of locked packages"""
        from pipeline.commands.outdated import outdated

        checkout = await self._open(docker_config)
        return await outdated(checkout, image, auths=self.auths, docker_config=docker_config, form=format)

    @function
    @explained
    async def sbom(
        self,
        image: Annotated[str, Doc("Name of the image")],
        platform: Annotated[str | None, Doc("Platform, such as linux/arm64; default: the first in image.toml")] = None,
        format: Annotated[SbomFormat, Doc("Format of the SBOM")] = SbomFormat.CYCLONEDX,
    ) -> dagger.File:
        """Build an image, and return its SBOM: its locked packages and those of its base image"""
        from pipeline.commands.sbom import make

        return await make((await self._open()).image(image), platform, format)

    @function
    @explained
    async def sif(
        self,
        image: Annotated[str, Doc("Name of the image")],
        platform: Annotated[str | None, Doc("Platform, such as linux/arm64; default: the first in image.toml")] = None,
    ) -> dagger.File:
        """Build an image, and return it as a SIF file, which Apptainer runs"""
        from pipeline.commands.sif import make

        return await make(await self._open(), image, platform)

    @function(cache="never")  # type: ignore[call-overload, untyped-decorator]  # its overloads do not know `cache`
    @explained
    async def report(
        self,
        image: Annotated[str, Doc("Name of the image")],
        platform: Annotated[str | None, Doc("Platform, such as linux/arm64; default: the first in image.toml")] = None,
        reference: Annotated[
            str | None,
            Name("from"),
            Doc(
                "Previous lock to list changes from: a commit, branch or tag of git, or a published image with its tag"
            ),
        ] = None,
        from_file: Annotated[dagger.File | None, Doc("Previous lock as a file, instead of --from")] = None,
        probes: Annotated[bool, Doc("Build the image, and add the results of its probes")] = False,
    ) -> dagger.File:
        """Draw a page about an image for a browser: its packages, sizes, changes and tags"""
        from pipeline.commands.report import report

        return await report(
            await self._open(),
            image,
            platform,
            reference=reference,
            file=from_file,
            probes=probes,
            auths=self.auths,
        )

    @function(cache="never")  # type: ignore[call-overload, untyped-decorator]  # its overloads do not know `cache`
    @explained
    async def release(
        self,
        checkout: Annotated[
            dagger.Directory,
            DefaultPath("/"),
            Ignore([*HISTORY_LEFT_OUT]),
            Doc("Checkout to release, with CHANGELOG.md and .git"),
        ],
        version: Annotated[str | None, Doc("Version of the release; default: the next version by date")] = None,
        date: Annotated[
            str | None, Doc("Day of the release, such as 2026-02-28; default: the day of the newest commit")
        ] = None,
    ) -> dagger.Changeset:
        """Prepare a release: offer to write its version and changelog entry, and print how to tag it"""
        from pipeline.commands.release import release

        require_filter(await dagger.dag.version())
        return await release(checkout, version, date)

    @function(cache="never")  # type: ignore[call-overload, untyped-decorator]  # its overloads do not know `cache`
    @explained
    async def scaffold(
        self,
        name: Annotated[str, Doc("Name of the new image, and of its folder")],
        kind: Annotated[ImageKind, Doc("Source of its software")] = ImageKind.PIXI,
    ) -> dagger.Changeset:
        """Add the folder of a new image that builds and passes its tests, as a start"""
        from pipeline.commands.scaffold import scaffold

        return await scaffold(await self._open(), name, kind)

    @function
    @check
    @explained
    async def specs_valid(self) -> str:
        """Check that every image.toml is valid"""
        return await (await self._checker()).check_specs()

    @function(cache="never")  # type: ignore[call-overload, untyped-decorator]  # its overloads do not know `cache`
    @check
    @explained
    async def locks_fresh(self) -> str:
        """Check that every pixi.lock fits its manifest and its channels"""
        return await (await self._checker()).check_locks()

    @function
    @check
    @explained
    async def cuda_consistent(self) -> str:
        """Check that image.toml, manifest, pixi.lock and base images agree about CUDA"""
        return await (await self._checker()).check_cuda()

    @function
    @check
    @explained
    async def images_sound(self) -> str:
        """Check that every user can read and use each image, and that the build left nothing behind in it"""
        return await (await self._checker()).check_images()

    @function
    @check
    @explained
    async def sizes_in_budget(self) -> str:
        """Check that the files of each image fit its size_budget"""
        return await (await self._checker()).check_sizes()

    @function
    @check
    @explained
    async def cvmfs_ready(self) -> str:
        """Check that the unpackers for CVMFS take each image as it is published"""
        return await (await self._checker()).check_cvmfs()

    @function
    @check
    @explained
    async def probes_pass(self) -> str:
        """Check that the probes of every image pass"""
        from pipeline.commands.smoke_test import smoke_test
        from pipeline.smoke.results import require_passed

        return require_passed(await smoke_test(await self._open(), None, gpu=False), ResultFormat.TABLE)

    async def _checker(self) -> "Checker":
        from pipeline.commands.check import Checker

        return Checker(await self._open())

    async def _open(self, docker_config: dagger.Secret | None = None, *, pinned: bool = True) -> "Checkout":
        from pipeline.checkout import Checkout
        from pipeline.credentials.logins import log_in

        require_filter(await dagger.dag.version())
        logins = await log_in(self.auths, docker_config, self.channel_auths, self.build_secrets)
        return await Checkout.open(self.source, logins, pinned=pinned)
