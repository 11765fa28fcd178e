"""Build and smoke-test the container images of MaNIAC Lab.

An image is a top-level folder with an image.toml; `images` lists them. What the functions return can be chained:
`build --image ml_platform terminal` opens a shell in the image, `… as-tarball export --path FILE` writes it to a file.
"""

import logging
from typing import TYPE_CHECKING, Annotated, Self

import dagger
from dagger import DefaultPath, Doc, Ignore, Name, check, field, function, object_type

from pipeline.config.image_kind import ImageKind
from pipeline.credentials.channel_auth import ChannelAuth, check_arguments
from pipeline.credentials.registry_auth import RegistryAuth
from pipeline.errors import PipelineError
from pipeline.git.upload_filter import HISTORY_LEFT_OUT, LEFT_OUT
from pipeline.output.formats import Format, ResultFormat, SbomFormat

if TYPE_CHECKING:
    from pipeline.checkout import Checkout
    from pipeline.commands.check import Checker


class _OnlySurprises(logging.Filter):
    """Keeps tracebacks for what nobody foresaw: a PipelineError is told in its one sentence."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], PipelineError))


logging.getLogger("dagger.mod").addFilter(_OnlySurprises())


@object_type
class Pipeline:
    """Container images as code: build and smoke-test them, the same on a laptop and in CI."""

    source: Annotated[
        dagger.Directory,
        DefaultPath("/"),
        Ignore([*LEFT_OUT]),
        Doc("The checkout that holds the images, and pyproject.toml with [tool.pipeline]"),
    ]

    auths: list[RegistryAuth] = field(default=list, init=False)

    channel_auths: list[ChannelAuth] = field(default=list, init=False)

    @function
    async def images(self) -> str:
        """List the images of this checkout, a line each: name and description"""
        images = (await self._open()).images()
        width = max((len(image.name) for image in images), default=0)
        return "".join(f"{image.name:{width}}  {image.spec.description}\n" for image in images)

    @function
    async def build(
        self,
        image: Annotated[str, Doc("Name of the image: a top-level folder that has an image.toml")],
        platform: Annotated[
            str | None, Doc("One of the image's platforms, such as linux/arm64; its first where none is given")
        ] = None,
    ) -> dagger.Container:
        """Build an image: its locked environment on its base image, ready to run, export or look around in"""
        return (await (await self._open()).image(image).build(platform)).container

    @function
    async def smoke_test(
        self,
        image: Annotated[str | None, Doc("Name of the image; every image where none is given")] = None,
        gpu: Annotated[bool, Doc("Give the probes the engine's GPUs, and fail where none is found")] = False,
        format: Annotated[ResultFormat, Doc("How the report is written")] = ResultFormat.TABLE,
    ) -> str:
        """Start what an image's probes name, and tell what came of each; fail once with all that failed"""
        from pipeline.commands.smoke_test import smoke_test  # noqa: PLC0415  # as in _open
        from pipeline.smoke.results import require_passed  # noqa: PLC0415  # as in _open

        return require_passed(await smoke_test(await self._open(), image, gpu=gpu), format)

    # Never cached: a report of a failure must not outlive what made it fail.
    @function(cache="never")  # type: ignore[call-overload, untyped-decorator]  # its overloads do not know `cache`
    async def smoke_report(
        self,
        image: Annotated[str | None, Doc("Name of the image; every image where none is given")] = None,
        gpu: Annotated[bool, Doc("Give the probes the engine's GPUs, and report where none is found")] = False,
        format: Annotated[ResultFormat, Doc("How the report is written")] = ResultFormat.JUNIT,
    ) -> dagger.File:
        """Run what smoke-test runs, and return the report as a file; a probe that failed is in it, and is no failure"""
        from pipeline.commands.smoke_test import smoke_test  # noqa: PLC0415  # as in _open
        from pipeline.smoke.results import FILES, write  # noqa: PLC0415  # as in _open

        results = await smoke_test(await self._open(), image, gpu=gpu)
        return dagger.dag.file(FILES[format], write(results, format))

    @function
    async def tags(
        self,
        tag: Annotated[str, Doc("What is published: a version such as v2026.2.0, a pre-release, or main")],
        commit: Annotated[str | None, Doc("Id of the commit that is published; the checkout's if not given")] = None,
        format: Annotated[Format, Doc("How the tags are written")] = Format.TABLE,
    ) -> str:
        """Show which tags the images get, which of them stay and which move; nothing is built or published"""
        from pipeline.publishing import tag_policy  # noqa: PLC0415  # as in _open

        checkout = await self._open()
        return tag_policy.draw(tag_policy.report(tag, tag_policy.plan_checkout(tag, commit, checkout.commit)), format)

    @function
    def with_registry_auth(
        self,
        address: Annotated[str, Doc("The registry, such as ghcr.io")],
        username: Annotated[str, Doc("Who logs in there")],
        secret: Annotated[dagger.Secret, Doc("The password or token, such as env:GITHUB_TOKEN or file:PATH")],
    ) -> Self:
        """Give the credentials of a registry to the next functions, to pull and publish; once for each registry"""
        auth = RegistryAuth(address=address, username=username, secret=secret)  # type: ignore[call-arg]  # mypy does not know Dagger's fields
        self.auths.append(auth)
        return self

    @function
    def with_channel_auth(
        self,
        host: Annotated[str, Doc("Host of the channel or package index, such as conda.example.org")],
        token: Annotated[dagger.Secret | None, Doc("The token, such as env:CHANNEL_TOKEN or file:PATH")] = None,
        username: Annotated[str | None, Doc("Who logs in there, instead of a token")] = None,
        secret: Annotated[dagger.Secret | None, Doc("The password of that user, such as env:CHANNEL_PASSWORD")] = None,
    ) -> Self:
        """Give the credentials of a channel or package index to the next functions, once for each host"""
        known = [auth.host for auth in self.channel_auths]
        name, user = check_arguments(host, username, token=token is not None, secret=secret is not None, known=known)
        auth = ChannelAuth(host=name, username=user, secret=token or secret)  # type: ignore[call-arg]  # as above
        self.channel_auths.append(auth)
        return self

    @function(cache="never")  # type: ignore[call-overload, untyped-decorator]  # the SDK's overloads leave cache out
    async def publish(  # noqa: PLR0913, PLR0917  # options of the CLI
        self,
        tag: Annotated[str, Doc("What is published: a version such as v2026.2.0, a pre-release, or main")],
        image: Annotated[str | None, Doc("Name of the image; every image where none is given")] = None,
        registries: Annotated[
            list[str] | None,
            Doc("Registries with the path of the repositories, such as ghcr.io/maniaclab, instead of the usual ones"),
        ] = None,
        commit: Annotated[str | None, Doc("Id of the commit that is published; the checkout's if not given")] = None,
        builder: Annotated[
            str | None, Doc("URI of the machine that builds, for the provenance; 'by hand' if not given")
        ] = None,
        signing_key: Annotated[
            dagger.Secret | None, Doc("Private key of cosign to sign the images with, such as file:cosign.key")
        ] = None,
        signing_password: Annotated[
            dagger.Secret | None, Doc("Password of the signing key, such as env:COSIGN_PASSWORD")
        ] = None,
        identity_token: Annotated[
            dagger.Secret | None,
            Doc("Sign without a key, as whom this OpenID Connect token names, such as cmd:COMMAND"),
        ] = None,
        certificate_identity: Annotated[str | None, Doc("Whom the identity token names")] = None,
        certificate_oidc_issuer: Annotated[str | None, Doc("Who issued the identity token, a URL")] = None,
        docker_config: Annotated[
            dagger.Secret | None,
            Doc("What 'docker login' wrote, as file:$HOME/.docker/config.json, for registries without credentials"),
        ] = None,
        dry_run: Annotated[bool, Doc("Only ask the registries, and tell what would be done")] = False,
        format: Annotated[Format, Doc("How the report is written")] = Format.TABLE,
    ) -> str:
        """Build, test and push images to every registry, and move their tags when all have them at one digest"""
        from pipeline.attestations.signing import choose_signing  # noqa: PLC0415  # as in _open
        from pipeline.commands.publish import publish  # noqa: PLC0415  # as in _open

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
    async def verify(  # noqa: PLR0913, PLR0917  # options of the CLI
        self,
        image: Annotated[str, Doc("Name of the image")],
        digest: Annotated[str, Doc("The published image's, such as sha256:0123…")],
        repository: Annotated[
            str | None, Doc("Where it was published, such as ghcr.io/maniaclab/ml-platform; its first if not given")
        ] = None,
        public_key: Annotated[
            dagger.File | None, Doc("Fail where the image is not signed with the private key of this public key")
        ] = None,
        certificate_identity: Annotated[
            str | None, Doc("Fail where the image is not signed, without a key, by this one")
        ] = None,
        certificate_oidc_issuer: Annotated[str | None, Doc("Who knows that one, a URL")] = None,
        docker_config: Annotated[
            dagger.Secret | None,
            Doc("What 'docker login' wrote, as file:$HOME/.docker/config.json, for a registry that wants a password"),
        ] = None,
    ) -> str:
        """Build an image again, and fail where it is not the published one, naming what of which layer differs"""
        from pipeline.attestations.signing import choose_signer  # noqa: PLC0415 -- as in _open
        from pipeline.commands.verify import verify  # noqa: PLC0415 -- as in _open

        return await verify(
            await self._open(docker_config),
            image,
            digest,
            repository=repository,
            signer=choose_signer(public_key, certificate_identity, certificate_oidc_issuer),
            auths=self.auths,
            docker_config=docker_config,
        )

    @function(cache="never")  # type: ignore[call-overload, untyped-decorator]  # its overloads do not know `cache`
    async def lock(
        self,
        image: Annotated[str, Doc("Name of the image")],
        package: Annotated[
            list[str] | None, Doc("Only this package may change, and what it needs; everything where none is given")
        ] = None,
        check: Annotated[bool, Doc("Change nothing, and fail where the lock is not fresh")] = False,
    ) -> dagger.Changeset:
        """Lock the newest packages that pixi.toml allows, and the base images, and offer to write both locks"""
        from pipeline.commands.lock import relock  # noqa: PLC0415 -- as in _open

        return await relock(await self._open(), image, package or [], check=check)

    @function(cache="never")  # type: ignore[call-overload, untyped-decorator]  # its overloads do not know `cache`
    async def lock_diff(
        self,
        image: Annotated[str, Doc("Name of the image")],
        reference: Annotated[
            str,
            Name("from"),
            Doc("Where the previous lock is: a commit, branch or tag of git, or a published image with its tag"),
        ] = "HEAD",
        from_file: Annotated[dagger.File | None, Doc("The previous lock itself, instead of --from")] = None,
        format: Annotated[Format, Doc("How it is written")] = Format.TABLE,
    ) -> str:
        """Tell which packages changed in an image's pixi.lock, and what that costs to download"""
        from pipeline.commands.lock_diff import report_changes  # noqa: PLC0415 -- as in _open

        return await report_changes(await self._open(), image, reference, from_file, format)

    @function(cache="never")  # type: ignore[call-overload, untyped-decorator]  # its overloads do not know `cache`
    async def outdated(
        self,
        image: Annotated[str | None, Doc("Name of the image; every image where none is given")] = None,
        docker_config: Annotated[
            dagger.Secret | None,
            Doc("What 'docker login' wrote, as file:$HOME/.docker/config.json, for registries that want a password"),
        ] = None,
        format: Annotated[Format, Doc("How it is written")] = Format.TABLE,
    ) -> str:
        """Tell which base images, CUDA and pixi are newer, and which locked packages are known to be vulnerable"""
        from pipeline.commands.outdated import outdated  # noqa: PLC0415  # as in _open

        checkout = await self._open(docker_config)
        return await outdated(checkout, image, auths=self.auths, docker_config=docker_config, form=format)

    @function
    async def sbom(
        self,
        image: Annotated[str, Doc("Name of the image")],
        platform: Annotated[
            str | None, Doc("One of the image's platforms, such as linux/arm64; its first where none is given")
        ] = None,
        format: Annotated[SbomFormat, Doc("How it is written")] = SbomFormat.CYCLONEDX,
    ) -> dagger.File:
        """Write an image's bill of materials: what was locked, held against what is in it, and its base's packages"""
        from pipeline.commands.sbom import make  # noqa: PLC0415  # as in _open

        return await make((await self._open()).image(image), platform, format)

    @function(cache="never")  # type: ignore[call-overload, untyped-decorator]  # its overloads do not know `cache`
    async def report(
        self,
        image: Annotated[str, Doc("Name of the image")],
        platform: Annotated[
            str | None, Doc("One of the image's platforms, such as linux/arm64; its first where none is given")
        ] = None,
        reference: Annotated[
            str | None,
            Name("from"),
            Doc("Tell what changed since a previous lock: that of a commit, branch or tag, or of a published image"),
        ] = None,
        from_file: Annotated[dagger.File | None, Doc("The previous lock itself, instead of --from")] = None,
        probes: Annotated[bool, Doc("Build the image, and tell what came of its probes")] = False,
    ) -> dagger.File:
        """Draw a page about an image, to look at in a browser: its packages, sizes, changes and tags"""
        from pipeline.commands.report import report  # noqa: PLC0415  # as in _open

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
    async def release(
        self,
        checkout: Annotated[
            dagger.Directory,
            DefaultPath("/"),
            Ignore([*HISTORY_LEFT_OUT]),
            Doc("The checkout to release, with CHANGELOG.md and .git"),
        ],
        version: Annotated[str | None, Doc("What is released; the next version by date if not given")] = None,
        date: Annotated[str | None, Doc("Day of the release, as 2026-02-28; the newest commit's if not given")] = None,
    ) -> dagger.Changeset:
        """Prepare a release: write its version and changelog entry, and say how to tag it, which is what publishes"""
        from pipeline.commands.release import release  # noqa: PLC0415

        return await release(checkout, version, date)

    @function(cache="never")  # type: ignore[call-overload, untyped-decorator]  # its overloads do not know `cache`
    async def scaffold(
        self,
        name: Annotated[str, Doc("Name of the new image, and of its folder")],
        kind: Annotated[ImageKind, Doc("What its software comes from")] = ImageKind.PIXI,
    ) -> dagger.Changeset:
        """Add a new image: a folder that builds and passes its tests, to be changed into what it shall be"""
        from pipeline.commands.scaffold import scaffold  # noqa: PLC0415 -- as in _open

        return await scaffold(await self._open(), name, kind)

    @function
    @check
    async def specs_valid(self) -> str:
        """Check that every image.toml can be used"""
        return await (await self._checker()).check_specs()

    @function(cache="never")  # type: ignore[call-overload, untyped-decorator]  # its overloads do not know `cache`
    @check
    async def locks_fresh(self) -> str:
        """Check that every pixi.lock is what pixi makes of its pixi.toml and the channels"""
        return await (await self._checker()).check_locks()

    @function
    @check
    async def cuda_consistent(self) -> str:
        """Check that image.toml, pixi.toml, pixi.lock and the base images agree about CUDA"""
        return await (await self._checker()).check_cuda()

    @function
    @check
    async def images_sound(self) -> str:
        """Check from inside that every user can read and use each image, and that the build left nothing in it"""
        return await (await self._checker()).check_images()

    @function
    @check
    async def sizes_in_budget(self) -> str:
        """Check that the files of no image take more room than its size_budget"""
        return await (await self._checker()).check_sizes()

    @function
    @check
    async def probes_pass(self) -> str:
        """Check that every image passes its smoke test"""
        from pipeline.commands.smoke_test import smoke_test  # noqa: PLC0415  # as in _open
        from pipeline.smoke.results import require_passed  # noqa: PLC0415  # as in _open

        return require_passed(await smoke_test(await self._open(), None, gpu=False), ResultFormat.TABLE)

    async def _checker(self) -> "Checker":
        from pipeline.commands.check import Checker  # noqa: PLC0415  # as in _open

        return Checker(await self._open())

    async def _open(self, docker_config: dagger.Secret | None = None) -> "Checkout":
        # Imported here: the engine starts this module for every call, and a listing of its functions needs none of it.
        from pipeline.checkout import Checkout  # noqa: PLC0415
        from pipeline.credentials.logins import log_in  # noqa: PLC0415

        return await Checkout.open(self.source, await log_in(self.auths, docker_config, self.channel_auths))
