"""The page about an image: gathers its content, and draws it in a container."""

from collections.abc import Mapping, Sequence
from typing import Final

import dagger
from dagger import dag

from pipeline.build.tool_container import with_packages, with_scripts
from pipeline.checkout import Checkout
from pipeline.concurrency import results_of
from pipeline.config.settings import Settings
from pipeline.credentials.registry_auth import RegistryAuth, known_logins, login_for
from pipeline.engine_errors import reason_of
from pipeline.errors import Code, PipelineError
from pipeline.locks.image_lock import LOCK
from pipeline.locks.lockfile import LockTarget, Packages, read_packages
from pipeline.locks.previous import find_previous
from pipeline.page import (
    SHOWN,
    Changes,
    Page,
    Repository,
    Tag,
    commands,
    describe_changes,
    describe_facts,
    describe_layers,
    describe_packages,
    reference_of,
    sif_of,
)
from pipeline.publishing.repositories import repositories
from pipeline.registry.client import Destination, Registry, describe_failure
from pipeline.registry.tags import newest
from pipeline.scripts.messages import SIF
from pipeline.smoke.probe_images import probe_images

#: Name of the page's file.
FILE: Final = "report.html"
#: Short limits for registries: a page without tags is better than a late one.
IMPATIENT: Final = {"registry_timeout": 20.0, "registry_tries": 2, "registry_seconds": 10.0}
#: Files that draw the page, all in one folder.
_SCRIPTS: Final = ("report.py", "sizes.py", "treemap.py", "report.html", "report.css", "report.js")


async def report(  # noqa: PLR0913  # options of the command
    checkout: Checkout,
    image: str,
    platform: str | None,
    *,
    reference: str | None,
    file: dagger.File | None,
    probes: bool,
    auths: Sequence[RegistryAuth],
) -> dagger.File:
    """Make the page about an image.

    Args:
        checkout: the checkout with the image.
        image: the image's name.
        platform: one of the platforms of its image.toml; the first if None.
        reference: release, commit or published image with a previous lock, whose changes the page lists.
        file: the previous lock itself, instead of the reference.
        probes: build the image, and run its probes.
        auths: credentials for the registries; without any, the queries are anonymous.

    Raises:
        PipelineError: there is no such image, a lock is missing or cannot be read, or the page cannot be drawn.
    """
    source = checkout.image(image)
    spec, target = source.spec, source.platform(platform)
    locked: Packages = {}
    changes: Changes | None = None
    if spec.dockerfile is None:
        listed = await source.listed(target)
        locked = listed.packages
        if reference or file:
            path, previous = await find_previous(checkout.path, checkout.logins, image, reference or "", file)
            before = read_packages(path, f"the previous {LOCK} ({previous})", "compare with another one")
            changes = describe_changes(image, previous, listed.target, _at(before, listed.target), locked)
    elif reference or file:
        raise PipelineError(
            Code.OPTION_CONFLICT, f"{image} is built from a Dockerfile and has no {LOCK} to compare; leave --from out"
        )
    names = repositories(image, spec, checkout.settings, [])
    answers = await ask_all(names, auths, checkout.settings)
    packages = describe_packages(locked.values())
    page = Page(
        image=image,
        description=spec.description,
        facts=describe_facts(spec, checkout.settings.base, target, source.commit.revision if source.commit else ""),
        commands=commands(image, spec, reference_of(answers), sif_of(answers, spec)),
        dockerfile=spec.dockerfile is not None,
        packages=packages,
        layers=describe_layers(packages),
        probes=await probe_images([source], gpu=False) if probes else None,
        changes=changes,
        repositories=answers,
    )
    return await draw(page, checkout.settings.fetch_base)


def _at(locked: Mapping[LockTarget, Packages], target: LockTarget) -> Packages:
    """Return the packages for a target, or for one with the same environment and subdir but another platform name."""
    subdir = target.platform.partition(" ")[0]
    others = [
        other
        for other in locked
        if (other.environment, other.platform.partition(" ")[0]) == (target.environment, subdir)
    ]
    return locked.get(target) or (locked[min(others)] if others else {})


async def ask_all(names: Sequence[str], auths: Sequence[RegistryAuth], settings: Settings) -> tuple[Repository, ...]:
    """Query all registries at once for the image's tags."""
    registry = Registry(settings.model_copy(update=IMPATIENT))
    logins, _ = await known_logins(auths, None)

    async def ask(name: str) -> Repository:
        to = Destination(name, login_for(name, logins))
        answer = await registry.ask(to, [], [], writes=False)
        if answer.tags and not answer.failure:
            shown = newest(answer.tags)[:SHOWN]
            sifs = [tag for tag in (f"{tag}{SIF}" for tag in shown) if tag in answer.tags]
            answer = await registry.ask(to, [*shown, *sifs], [], writes=False)
        digests = answer.digests
        tags = tuple(Tag(name=tag, digest=digests[tag], sif=digests.get(f"{tag}{SIF}", "")) for tag in newest(digests))
        failure = describe_failure(answer.failure) if answer.failure else ""
        return Repository(name=name, tags=tags, more=len(newest(answer.tags)) - len(tags), failure=failure)

    return tuple(await results_of(ask, names))


async def draw(page: Page, base: str) -> dagger.File:
    """Draw the page as a file.

    Args:
        page: content of the page.
        base: image with Python, in which it is drawn.

    Raises:
        PipelineError: the page cannot be drawn.
    """
    drawing = (
        dag.container()
        .from_(base)
        .with_(with_packages("report.lock"))
        .with_(with_scripts(*_SCRIPTS))
        .with_mounted_file("/page.json", dag.file("page.json", page.model_dump_json()))
        .with_exec(["python", "-m", "pipeline.scripts.report", "/page.json", f"/{FILE}"])
    )
    try:
        return await drawing.file(f"/{FILE}").sync()
    except dagger.ExecError as error:
        raise PipelineError(
            Code.STEP_FAILED,
            f"{page.image}: the page could not be drawn: {reason_of(error)}; run the same command again",
        ) from error
