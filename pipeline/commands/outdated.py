"""Outdated base and tool images, and vulnerable packages: queries registries, pixi and OSV, all at once."""

import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
import dagger

from pipeline.build import extra_files, pixi_image
from pipeline.checkout import Checkout, ImageSource
from pipeline.commands.report import IMPATIENT
from pipeline.concurrency import results_of
from pipeline.config.image_toml import FILE as SPEC
from pipeline.credentials.registry_auth import Login, RegistryAuth, known_logins, login_for
from pipeline.engine_errors import reason_of
from pipeline.errors import Code, OutdatedError, PipelineError
from pipeline.locks import base_images, tool_images
from pipeline.output.formats import Format
from pipeline.registry.client import Destination, Registry
from pipeline.scripts.messages import RepositoryReport
from pipeline.updates.base_images import is_pixi, parse, pixi_of
from pipeline.updates.report import (
    UNKNOWN,
    Base,
    Kind,
    UpdateRow,
    Updates,
    draw,
    explain,
    find_changed,
    find_newer,
    find_vulnerable,
)
from pipeline.updates.vulnerabilities import Pair, Vulnerability, audit, find_python


@dataclass(frozen=True)
class Packages:
    """Locked packages of an image."""

    python: Mapping[Pair, str]
    """Python packages: the name in the lock by the name and version at PyPI."""

    others: int
    """Number of the other packages."""


async def outdated(
    checkout: Checkout,
    image: str | None,
    *,
    auths: Sequence[RegistryAuth],
    docker_config: dagger.Secret | None,
    form: Format,
) -> str:
    """Report newer versions of the images' base images, and known vulnerabilities of their packages.

    Args:
        checkout: the checkout with the images.
        image: name of one image; all, and the pipeline's tool images, if None.
        auths: credentials for the registries of base images; without any, the queries are anonymous.
        docker_config: configuration that `docker login` wrote.
        form: format of the report.

    Raises:
        PipelineError: the files of the named image are invalid.
        OutdatedError: a source could not be queried, or the files of one of all images are invalid; the message has the
            table of all the others.
    """
    usable, errors = checkout.usable_images(image)
    images: list[ImageSource] = []
    bases: list[Base] = []
    locked: dict[str, Packages] = {}
    for source in usable:
        try:
            found = find_bases(source)
            if not source.spec.dockerfile:
                locked[source.name] = await find_packages(source)
        except PipelineError as error:
            if image is not None:
                raise
            errors[source.name] = error
        else:
            bases += found
            images.append(source)
    if image is None:
        bases += find_tools(checkout)
    sources = Sources(checkout, (await known_logins(auths, docker_config))[0])
    for name, invalid in errors.items():
        sources.fail(name, "image", name, invalid)
    files = [(source.name, file.url) for source in images for file in source.spec.files if file.url]
    await results_of(
        lambda query: query(),
        [
            *(partial(sources.ask, repository, tags) for repository, tags in by_repository(bases).items()),
            *(partial(sources.look, base) for base in bases if base.has_pixi),
            *(partial(sources.download, image, url) for image, url in files),
            partial(sources.audit, locked),
        ],
    )
    rows = [row for base in bases for row in find_newer(base, sources.answer(base), sources.pixi.get(base.image, ""))]
    rows += [row for source in images for row in find_changed(source.name, source.spec.files, sources.hashes)]
    rows += [row for name, packages in locked.items() for row in find_vulnerable(name, packages.python, sources.known)]
    updates = Updates(
        rows=(*rows, *sources.failed),
        notes=tuple(notes([source.name for source in images], locked)) if sources.audited else (),
    )
    if updates.unknown:
        raise OutdatedError(Code.OUTDATED_INCOMPLETE, f"{explain(updates.unknown)}\n{draw(updates, form)}")
    return draw(updates, form)


def read_version(output: str, reference: str) -> str:
    """Return the version in the output of ``pixi --version``.

    Args:
        output: the output.
        reference: the base image that it is of.

    Raises:
        OutdatedError: it is empty.
    """
    if not output.strip():
        raise OutdatedError(Code.BASE_IMAGE_UNSUITABLE, f"'pixi --version' printed nothing in {reference}")
    return output.rsplit(maxsplit=1)[-1].strip()


class Sources:
    """Sources of updates, and their answers."""

    def __init__(self, checkout: Checkout, logins: Mapping[str, Login]) -> None:
        self.checkout = checkout
        self.logins = logins
        self.answers: dict[str, RepositoryReport] = {}
        self.hashes: dict[str, str] = {}
        """The SHA-256 of each downloaded file, by its URL."""
        self.pixi: dict[str, str] = {}
        """The version of pixi in the base image of each image."""
        self.known: Mapping[Pair, tuple[Vulnerability, ...]] = {}
        self.audited = False
        self.failed: list[UpdateRow] = []

    def answer(self, base: Base) -> RepositoryReport:
        """Return the report of a base image's registry."""
        return self.answers[parse(base.reference).repository]

    async def ask(self, repository: str, tags: Sequence[str]) -> None:
        """Query a registry for all tags of a repository, and the digests of some of them."""
        registry = Registry(self.checkout.settings.model_copy(update=IMPATIENT))
        to = Destination(repository, login_for(repository, self.logins))
        self.answers[repository] = await registry.ask(to, tags, [], writes=False)

    async def look(self, base: Base) -> None:
        """Find the version of pixi in a base image, by its tag or by starting it."""
        try:
            self.pixi[base.image] = pixi_of(parse(base.reference).tag) or await self._start(base)
        except PipelineError as error:
            self.fail(base.image, "pixi", base.reference, error)

    async def download(self, image: str, url: str) -> None:
        """Download a file that an image has from a URL, and hash it as it is now."""
        folder = Path(await anyio.to_thread.run_sync(tempfile.mkdtemp))
        try:
            self.hashes[url] = (await extra_files.download(url, folder / "file"))[1]
        except dagger.QueryError as error:
            failure = PipelineError(Code.DOWNLOAD_FAILED, f"{url} cannot be fetched: {reason_of(error)}")
            self.fail(image, "file", url, failure)

    async def audit(self, locked: Mapping[str, Packages]) -> None:
        """Query the known vulnerabilities of all images' packages."""
        pairs = {pair for packages in locked.values() for pair in packages.python}
        try:
            self.known = await audit(pairs, self.checkout.settings)
            self.audited = True
        except OutdatedError as error:
            self.fail(", ".join(locked), "vulnerability", self.checkout.settings.osv, error)

    async def _start(self, base: Base) -> str:
        source = self.checkout.image(base.image)
        container = await pixi_image.pull(source.inputs(source.platform(None)), "base", base.reference)
        try:
            output = await container.with_exec(["pixi", "--version"]).stdout()
        except dagger.QueryError as error:
            raise OutdatedError(
                Code.BASE_IMAGE_UNSUITABLE, f"'pixi --version' failed in {base.reference}: {reason_of(error)}"
            ) from error
        return read_version(output, base.reference)

    def fail(self, image: str, kind: Kind, what: str, error: PipelineError) -> None:
        """Add a row about something that could not be looked up."""
        self.failed.append(UpdateRow(image=image, kind=kind, what=what, current="", newest=UNKNOWN, reason=str(error)))


def find_bases(source: ImageSource) -> list[Base]:
    """Return the base images of an image, with the digests that a build pulls.

    Raises:
        LockError: its base.lock cannot be used.
    """
    image, spec, settings = source.name, source.spec, source.settings
    if spec.dockerfile is not None:
        named = [(each, f"{each.instruction} in {image}/{spec.dockerfile}") for each in source.named_images()]
        return [
            Base(image=image, reference=each.name, location=location, remedy=location, digest=parse(each.name).digest)
            for each, location in named
        ]
    digests = source.digests
    bases = []
    for key, name in base_images.used(spec, settings).items():
        location = f"'{key}' in {f'{image}/{SPEC}' if key in spec.model_fields_set else settings.file.name}"
        written = parse(name).digest
        bases.append(
            Base(
                image=image,
                reference=name,
                location=location,
                remedy=location if written else f"dagger call lock --image {image}",
                digest=written or digests.get(name, ""),
                has_pixi=key == "base" and is_pixi(name),
            )
        )
    return bases


def find_tools(checkout: Checkout) -> list[Base]:
    """Return the pipeline's tool images, with the digests that it pulls."""
    settings, held = checkout.settings, tool_images.read(checkout.path) or {}
    tools = []
    for key, name in tool_images.used(settings).items():
        tag, _, digest = name.partition("@")
        location = f"'{key}' in {settings.file.name}"
        locked = not digest or held.get(tag) == digest
        remedy = "dagger call lock" if locked else location
        reference = tag if locked else name
        tools.append(
            Base(image="tools", kind="tool image", reference=reference, location=location, remedy=remedy, digest=digest)
        )
    return tools


async def find_packages(source: ImageSource) -> Packages:
    """Return the locked packages of an image on all of its platforms.

    Raises:
        PipelineError: its lock cannot be used.
    """
    python: dict[Pair, str] = {}
    everything: set[str] = set()
    for platform in source.spec.platforms:
        locked = await source.listed(platform)
        packages = [package for package in locked.packages.values() if package.kind != "virtual"]
        python |= find_python(locked.conda.values(), [package for package in packages if package.kind == "pypi"])
        everything |= {package.name for package in packages}
    return Packages(python, len(everything - set(python.values())))


def by_repository(bases: Iterable[Base]) -> dict[str, list[str]]:
    """Return the tags in use by their repository, each once."""
    tags: dict[str, dict[str, None]] = defaultdict(dict)
    for base in bases:
        name = parse(base.reference)
        tags[name.repository] |= {name.tag: None} if name.tag else {}
    return {repository: list(names) for repository, names in tags.items()}


def notes(images: Iterable[str], locked: Mapping[str, Packages]) -> list[str]:
    """Return a sentence for each image: the packages that were looked up, and those that were not."""
    scopes = {}
    for image, packages in locked.items():
        python = len(set(packages.python.values()))
        every = python + packages.others
        scopes[image] = f"{python} of {every} packages are of Python, and were looked up; OSV knows no others of conda"
    unlocked = "what its Dockerfile installs was not looked up, since nothing locks it"
    return [f"{image}: {scopes.get(image, unlocked)}" for image in images]
