"""Checks of a checkout: all images at once, and all findings in one failure."""

from collections.abc import Awaitable, Callable
from typing import Final

import dagger
from dagger import dag

from pipeline.build.finalize import read_variables
from pipeline.build.inputs import BuildInputs
from pipeline.build.permissions import is_kept
from pipeline.build.pixi_image import environment_path
from pipeline.build.tool_container import read_script
from pipeline.checkout import Checkout, ImageSource
from pipeline.commands.lock import check_fresh
from pipeline.commands.lock_tools import describe
from pipeline.concurrency import results_of
from pipeline.config.image_toml import FILE
from pipeline.config.toml_locations import located
from pipeline.config.validation import listed
from pipeline.credentials.registry_auth import explain_rejected_pull
from pipeline.cvmfs import describe_ready, find_unready
from pipeline.engine_errors import explain, reason_of
from pipeline.errors import Code, PipelineError
from pipeline.git.commit import Commit
from pipeline.inspection import (
    LABELS,
    Facts,
    find_excess,
    find_inactive,
    find_missing_labels,
    find_unwanted,
    read_facts,
)
from pipeline.locks.base_images import used
from pipeline.locks.cuda import check_base
from pipeline.output.console import log
from pipeline.registry.layer_report import check_layers
from pipeline.scripts.sizes import size as format_size

#: Check of one image: returns its findings, and the line to print if there are none.
Check = Callable[[ImageSource], Awaitable[tuple[list[str], str]]]

_INSPECT: Final = "/inspect.sh"
#: Mount point of an image that has no shell.
_IMAGE: Final = "/inspected-image"
#: Folder in memory for what the script collects.
_WORK: Final = "/run/inspect"
_LABEL: Final = "org.opencontainers.image."


class Checker:
    """Checks of one checkout.

    Each returns one line for each image, or raises a PipelineError with one line for each finding.
    """

    def __init__(self, checkout: Checkout) -> None:
        self.checkout = checkout

    async def check_specs(self) -> str:
        """Check that every image.toml is valid."""

        async def check(source: ImageSource) -> tuple[list[str], str]:
            return [], source.spec.description

        return await self._each(check)

    async def check_locks(self) -> str:
        """Check that every lock fits its manifest, by pixi and the channels, and tools.lock the settings."""

        async def check(source: ImageSource) -> tuple[list[str], str]:
            if source.spec.dockerfile:
                return [], "has no lock: its Dockerfile says what it is"
            await check_fresh(source)
            note = source.unpinned
            return [], "pixi and the channels agree with its lock" + (f"; {note}" if note else "")

        # The checkout was opened with tools.lock, so the file fits where it is there.
        return await self._each(check) + describe(self.checkout)

    async def check_cuda(self) -> str:
        """Check that manifest, lock, image.toml and base images have the same CUDA version."""

        async def check(source: ImageSource) -> tuple[list[str], str]:
            image, spec = source.name, source.spec
            if spec.dockerfile:
                return [], "has no CUDA version to compare: its Dockerfile says what it is"
            for platform in spec.platforms:
                source.lock(platform)
                inputs = source.inputs(platform)
                for key, address in used(spec, self.checkout.settings).items():
                    check_base(image, spec, address, await _cuda_of(inputs, key, address))
            return [], f"CUDA {spec.cuda}" if spec.cuda else "no CUDA"

        return await self._each(check)

    async def check_images(self) -> str:
        """Check the files, variables and labels of every built image."""

        async def check(source: ImageSource) -> tuple[list[str], str]:
            image, spec = source.name, source.spec
            text = _text(source)
            findings = []
            for built in (await source.build_all()).values():
                container = built.container
                labels = {await label.name(): await label.value() for label in await container.labels()}
                digest = labels.get(f"{_LABEL}base.digest", "")
                base = labels.get(f"{_LABEL}base.name", "") + (f"@{digest}" if digest else "")
                tools, platform = source.settings.fetch_base, await container.platform()
                before = await inspect_image(dag.container(platform=platform).from_(base), tools) if base else Facts()
                facts = await inspect_image(container, tools)
                findings += find_unwanted(image, spec, text, facts, before)
                findings += find_missing_labels(image, spec, required_labels(source), labels)
                if not spec.dockerfile:
                    prefix = environment_path(spec.environment)
                    findings += find_inactive(image, facts, prefix, await read_variables(container))
            # `dagger check` prints the log and no result.
            if note := describe_changes(source.commit):
                log(f"{image}{note}\n")
            sound = "readable by all, writable where it should be, nothing left of the build, labels there"
            return findings, sound + note

        return await self._each(check)

    async def check_sizes(self) -> str:
        """Check that no image's files are larger than its size budget."""

        async def check(source: ImageSource) -> tuple[list[str], str]:
            image, spec = source.name, source.spec
            findings, sizes = [], []
            for built in (await source.build_all()).values():
                size = (await inspect_image(built.container, source.settings.fetch_base)).size
                findings += find_excess(image, spec, _text(source), size)
                budget = f" of {format_size(spec.size_budget)}" if spec.size_budget else ""
                sizes.append(format_size(size or None) + budget)
            return findings, ", ".join(sizes)

        return await self._each(check)

    async def check_cvmfs(self) -> str:
        """Check that unpackers for CVMFS take every image as it would be published."""

        async def check(source: ImageSource) -> tuple[list[str], str]:
            image, spec = source.name, source.spec
            if spec.no_cvmfs:
                return [], f"does not go to CVMFS: {spec.no_cvmfs}"
            reports = [
                await check_layers(source.settings, built, source.logins)
                for built in (await source.build_all()).values()
            ]
            return find_unready(image, spec, _text(source), reports), describe_ready(reports[0])

        return await self._each(check)

    async def _each(self, check: Check) -> str:
        async def run(image: str) -> tuple[list[str], str]:
            try:
                return await check(self.checkout.image(image))
            except PipelineError as error:
                return [located(error, self.checkout.path)], ""
            except dagger.QueryError as error:
                return [f"{image}: {explain(error, self.checkout.logins.registries)}"], ""

        images = self.checkout.names()
        results = await results_of(run, images)
        if lines := [finding for findings, _ in results for finding in findings]:
            raise PipelineError(Code.CHECK_FAILED, "\n".join(lines))
        width = max(map(len, images), default=0)
        return "".join(f"{image:{width}}  {summary}\n" for image, (_, summary) in zip(images, results, strict=True))


def required_labels(source: ImageSource) -> list[str]:
    """Return the labels that an image must have, from the facts that are known about it."""
    settings, commit = source.settings, source.commit
    known = {
        "source": settings.source,
        "licenses": settings.licenses,
        "base.name": not source.spec.dockerfile,
        "created": commit,
        "revision": commit and commit.revision,
    }
    return [*LABELS, *(name for name, value in known.items() if value)]


def describe_changes(commit: Commit | None) -> str:
    """Return a remark about changes that are not committed; empty if there are none."""
    if commit is None or not commit.changed:
        return ""
    return f"; it has no revision, because these are not committed: {listed(commit.changed)}"


def _text(source: ImageSource) -> str:
    return (source.folder / FILE).read_text(encoding="utf-8")


async def inspect_image(container: dagger.Container, tools: str) -> Facts:
    """Return the state of an image as its files show it, read by root whatever the image's user.

    Its own package managers know which files they brought. An image without a shell, `find` or `grep` has none of
    them, and is looked at from another container.

    Args:
        container: the image.
        tools: image with Python and a shell.
    """
    try:
        return read_facts(await _inspected(container.with_user("0"), ""))
    except dagger.QueryError:
        outside = dag.container().from_(tools).with_mounted_directory(_IMAGE, container.rootfs())
        return read_facts((await _inspected(outside, _IMAGE)).replace(f"{_IMAGE}/", "/"))


async def _inspected(container: dagger.Container, root: str) -> str:
    mounted = container.with_mounted_file(_INSPECT, dag.file("inspect.sh", read_script("inspect.sh")))
    command = ["sh", _INSPECT, root, _WORK, *is_kept(root)]
    return await mounted.with_mounted_temp(_WORK).with_exec(command).stdout()


async def _cuda_of(inputs: BuildInputs, key: str, name: str) -> str | None:
    address = inputs.pinned(name)
    await inputs.logins.prepare([name])
    base = dag.container(platform=dagger.Platform(inputs.platform)).from_(address)
    try:
        return await base.env_variable("CUDA_VERSION")
    except dagger.QueryError as error:
        refused = explain_rejected_pull(str(error), address, inputs.logins.registries)
        remedy = refused or "correct it there, or try again when the registry can be reached"
        raise PipelineError(
            Code.BASE_IMAGE_UNAVAILABLE,
            f"{inputs.file}: key '{key}': image {address} cannot be pulled: {reason_of(error)}; {remedy}",
        ) from error
