"""A lock made anew, or found fresh, by the pixi of the image's own base, so that the build's pixi can read it."""

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import dagger
from packaging.utils import canonicalize_name

from pipeline import bases, channel, stages
from pipeline.checkout import Checkout
from pipeline.errors import LockError, RefreshError, SpecError
from pipeline.fetch import PACKAGE_CACHE, with_package_cache
from pipeline.formats import Format
from pipeline.lock import LOCK, MANIFEST, SUBDIRS, check_lock, read_requirements
from pipeline.lock_diff import compare, report
from pipeline.lock_file import Packages, Place, read_packages
from pipeline.log import tell
from pipeline.pixi import TIMED_OUT, causes
from pipeline.recipe import Recipe
from pipeline.settings import Settings
from pipeline.spec import FILE as SPEC
from pipeline.spec import ImageSpec, load_spec
from pipeline.unlock import without
from pipeline.validation import listed, nearest

#: Where an image's folder is while it is solved.
FOLDER: Final = "/solve"
#: Solving is tried as often as this, each time with twice the time: once in a while pixi waits for ever.
TRIES: Final = 3
#: What `timeout` exits with when it asked pixi to end, and when it had to kill it.
STOPPED: Final = (TIMED_OUT, 137)
#: An older pixi cannot lock without anything else, but locks what it is asked to list. Argument: the seconds it gets.
SOLVE: Final = """
if pixi lock --help >/dev/null 2>&1; then
  exec timeout --kill-after=10 "$1" pixi lock
fi
exec timeout --kill-after=10 "$1" pixi list --no-install
"""
#: What to do about a lock that is not fresh.
REMEDY: Final = f"run 'dagger call lock --image {{image}}' and commit {LOCK}"


async def refresh(checkout: Checkout, image: str, packages: Sequence[str], *, check: bool) -> dagger.Changeset:
    """Lock an image's base images and packages anew, and return what that changes in the checkout; and tell it.

    Args:
        checkout: with the image.
        image: the image's name.
        packages: what may change, and no base image with them; everything where there are none.
        check: change nothing, and refuse a lock that is not fresh.

    Raises:
        PipelineError: what is wrong with the files, what failed, or what of the lock is not fresh.
    """
    spec = load_spec(checkout.path, image)
    if spec.dockerfile is not None:
        raise SpecError(f"{image}/{SPEC}: key 'dockerfile': the image is built from {spec.dockerfile}, and has no lock")
    folder, name = checkout.path / image, f"{image}/{LOCK}"
    directory = checkout.source.directory(image)
    if check:
        for platform in spec.platforms:
            check_lock(folder, spec, platform)
    else:
        begin = start(folder, spec, packages)
        directory = directory.without_file(LOCK) if begin is None else directory.with_new_file(LOCK, begin)
    settings = checkout.settings
    held = bases.read_fitting(folder, spec, settings) if check else kept_bases(folder, spec, settings, packages)
    recipe = Recipe(image, spec, settings, directory, spec.platforms[0], checkout.commit, held or {})
    if not check and held is not None:
        recipe = replace(recipe, bases=await stages.find_digests(recipe))
    solved = await solve(recipe)
    # Beside the checkout's own, which may be missing, or broken and the reason to lock anew.
    made = checkout.path / f"{image}.{LOCK}"
    await solved.export(str(made))
    after = read_packages(made, f"{LOCK} as pixi made it for {image}", "choose a base with another pixi")
    if check:
        await require_fresh(image, read_packages(folder / LOCK, name, REMEDY.format(image=image)), after)
        tell(f"{name} is fresh: pixi and the channels agree with it\n")
        if note := bases.unpinned(folder, spec, settings):
            tell(f"{note}\n")
        return checkout.source.changes(checkout.source)
    with contextlib.suppress(LockError):
        before = read_packages(folder / LOCK, name, "")
        changed = bases.compare(bases.read(folder) or {}, recipe.bases)
        tell(report(compare(image, "this checkout", before, after, changed), Format.TABLE))
    locked = checkout.source.with_file(name, solved)
    if recipe.bases:
        locked = locked.with_new_file(f"{image}/{bases.FILE}", bases.write(image, recipe.bases))
    elif (folder / bases.FILE).is_file():  # of an image that names its bases by digest by now
        locked = locked.without_file(f"{image}/{bases.FILE}")
    return locked.changes(checkout.source)


def kept_bases(folder: Path, spec: ImageSpec, settings: Settings, packages: Sequence[str]) -> dict[str, str] | None:
    """The digests that a new base.lock starts from; None where none is to be written.

    Args:
        folder: the image's folder.
        spec: its image.toml.
        settings: with the base image of those that name none.
        packages: what is locked; where it is everything, no digest is kept.

    Raises:
        LockError: digests are to be kept, and base.lock cannot be used.
    """
    if not packages:
        return {}
    held = bases.read(folder)
    return held and {name: held[name] for name in bases.to_lock(spec, settings).values() if name in held}


async def solve(recipe: Recipe) -> dagger.File:
    """Let pixi lock what pixi.toml asks for, and return the lock.

    Args:
        recipe: of the image; of a lock in its folder pixi keeps what fits, and without one it takes the newest.

    Raises:
        BuildError: the base image cannot be pulled.
        LockError: the CUDA of the base image does not fit.
        RefreshError: pixi found no solution, or did not end.
    """
    image, spec, settings = recipe.image, recipe.spec, recipe.settings
    base = await stages.pull(recipe, "base", spec.base or settings.base)
    container = (
        base.with_directory(FOLDER, recipe.folder)
        .with_workdir(FOLDER)
        .with_(lambda container: with_package_cache(container, SUBDIRS[recipe.platform]))
        # Packages are needed where a PyPI package is built to be solved; what channels list is read anew each time.
        .with_mounted_temp(f"{PACKAGE_CACHE}/repodata")
    )
    if spec.cuda:
        container = container.with_env_variable("CONDA_OVERRIDE_CUDA", spec.cuda)
    for attempt in range(TRIES):
        seconds = settings.solve_timeout * 2**attempt
        # What a channel has now is not what it had before: nothing may be answered from the engine's cache.
        now = container.with_env_variable("SOLVED_AT", str(time.time_ns()))
        solved = now.with_exec(["sh", "-euc", SOLVE, "sh", str(seconds)])
        try:
            return await solved.file(f"{FOLDER}/{LOCK}").sync()
        except dagger.ExecError as error:
            if error.exit_code not in STOPPED:
                raise explain_solve(image, f"{error.stdout}\n{error.stderr}") from error
    raise RefreshError(
        f"{image}: pixi found no solution for {image}/{MANIFEST} in {TRIES} tries of up to {seconds} seconds; run the "
        "same command again, or raise 'solve_timeout' of [tool.pipeline] in pyproject.toml"
    )


def explain_solve(image: str, output: str) -> RefreshError:
    """The error to raise when pixi could not solve a manifest, from what it printed."""
    text = ": ".join(causes(output)) or "it said nothing"
    return RefreshError(
        f"{image}: pixi cannot lock what {image}/{MANIFEST} asks for: {text}; correct it there, or if the channel was "
        "out of reach, run the same command again"
    )


def start(folder: Path, spec: ImageSpec, packages: Sequence[str]) -> str | None:
    """The lock to solve from, so that only some packages change; None where all may.

    Args:
        folder: the image's folder.
        spec: its image.toml.
        packages: names of conda or PyPI packages, in any case; none means all.

    Raises:
        LockError: there is no lock to keep, it cannot be read, or nobody asks for a package of such a name.
        ManifestError: pixi.toml cannot be used.
    """
    asked = [read_requirements(folder, spec.environment, platform) for platform in spec.platforms]
    if not packages:
        return None
    name = f"{folder.name}/{LOCK}"
    everything = f"lock all packages ('lock --image {folder.name}' without --package)"
    if not (folder / LOCK).is_file():
        raise LockError(f"{name} is missing, and so there is nothing to keep; {everything}")
    locked = read_packages(folder / LOCK, name, everything)
    found = {package.name for place in locked.values() for package in place.values() if package.url}
    known = found | {name for wanted in asked for name in (*wanted.conda, *wanted.pypi)}
    chosen: set[str] = set()
    for package in packages:
        # What conda and PyPI make of a name.
        names = {package.lower(), canonicalize_name(package)}
        chosen |= names
        if not names & known:
            raise LockError(
                f"package '{package}' is neither in {name} nor asked for in {folder.name}/{MANIFEST}; "
                f"{nearest(package.lower(), known)}"
            )
    urls = {package.url for place in locked.values() for package in place.values() if package.name in chosen}
    return without((folder / LOCK).read_text(encoding="utf-8"), urls)


async def require_fresh(image: str, before: Mapping[Place, Packages], after: Mapping[Place, Packages]) -> None:
    """Refuse a lock that pixi would write otherwise, or that says of a package what its channel does not.

    Args:
        image: the image's name.
        before: what the lock holds.
        after: what pixi, starting from it, made of it.

    Raises:
        LockError: it is not fresh.
        RefreshError: a channel cannot be asked.
    """
    problems = unsolved(before, after)
    if not problems:
        everything = {package.url: package for place in before.values() for package in place.values()}
        problems = await channel.find_differences(everything.values())
    if problems:
        raise LockError(
            f"{image}/{LOCK} is not what pixi makes of {image}/{MANIFEST} and its channels: {listed(problems)}; "
            f"{REMEDY.format(image=image)}"
        )


def unsolved(before: Mapping[Place, Packages], after: Mapping[Place, Packages]) -> list[str]:
    """What pixi changed in a lock, a short sentence each."""
    return [
        f"{change.name} {change.after.version} would be {change.change}"
        if change.after
        else f"{change.name} would be removed"
        for place in compare("", "", before, after).places
        for change in place.changes
    ]
