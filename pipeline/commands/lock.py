"""A lock made anew, or found fresh, by the pixi of the image's own base, so that the build's pixi can read it."""

import contextlib
import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

import dagger
from packaging.utils import canonicalize_name

from pipeline.build import pixi_image
from pipeline.build.download import PACKAGE_CACHE, with_package_cache
from pipeline.build.inputs import BuildInputs
from pipeline.build.pixi_errors import KILLED, TIMED_OUT, WITHIN, advice, describe, killed, remedy
from pipeline.build.pixi_output import read
from pipeline.checkout import Checkout, ImageSource
from pipeline.config.image_toml import FILE as SPEC
from pipeline.config.image_toml import ImageSpec
from pipeline.config.validation import listed, nearest
from pipeline.errors import Code, LockError, PipelineError, SpecError
from pipeline.locks import base_images, channel_check, image_lock
from pipeline.locks.diff import compare, report
from pipeline.locks.image_lock import LOCK, SUBDIRS, LockFiles, check_manifest
from pipeline.locks.lockfile import read_packages
from pipeline.locks.manifest import PIXI_TOML
from pipeline.locks.unpin import without
from pipeline.output.console import log
from pipeline.output.formats import Format

#: Where an image's folder is while it is solved.
FOLDER: Final = "/solve"
#: Solving is tried as often as this, each time with twice the time: once in a while pixi waits for ever.
TRIES: Final = 3
#: An older pixi cannot lock without anything else, but locks what it is asked to list. Argument: the seconds it gets.
SOLVE: Final = f"""{WITHIN}
export HOME="${{LOGINS_HOME:-${{HOME:-/root}}}}" # An older pixi looks for credentials there.
if pixi lock --help >/dev/null 2>&1; then
  set -- "$1" pixi lock
else
  set -- "$1" pixi list --no-install
fi
export PIXI_NO_WRAP=1
within "$@"
"""


async def relock(checkout: Checkout, image: str, packages: Sequence[str], *, check: bool) -> dagger.Changeset:
    """Lock an image's base images and packages again, and return what that changes in the checkout; and report it.

    Args:
        checkout: with the image.
        image: the image's name.
        packages: what may change, and no base image with them; everything where there are none.
        check: change nothing, and refuse a lock that is not fresh.

    Raises:
        PipelineError: what is wrong with the files, what failed, or what of the lock is not fresh.
    """
    source = checkout.image(image)
    spec = source.spec
    if spec.dockerfile is not None:
        raise SpecError(
            Code.OPTION_CONFLICT,
            f"{image}/{SPEC}: key 'dockerfile': the image is built from {spec.dockerfile}, and has no lock",
        )
    if check:
        await check_fresh(source)
        return checkout.source.changes(checkout.source)
    folder, name, settings, manifest = source.folder, f"{image}/{LOCK}", source.settings, source.files.manifest
    begin = start(source.files, spec, packages)
    directory = source.directory
    directory = directory.without_file(LOCK) if begin is None else directory.with_new_file(LOCK, begin)
    held = kept_bases(source, packages)
    inputs = BuildInputs(
        image, spec, settings, directory, spec.platforms[0], checkout.commit, held or {}, checkout.logins
    )
    if held is not None:
        inputs = replace(inputs, bases=await pixi_image.find_digests(inputs))
    solved = await solve(inputs, manifest.file)
    # Beside the checkout's own, which may be missing, or broken and the reason to lock again.
    made = checkout.path / f"{image}.{LOCK}"
    await solved.export(str(made))
    after = read_packages(made, f"{LOCK} as pixi made it for {image}", "choose a base with another pixi")
    with contextlib.suppress(LockError):
        before = source.files.packages()
        changed = base_images.compare(source.base_lock or {}, inputs.bases)
        log(report(compare(image, "this checkout", before, after, changed), Format.TABLE))
    locked = checkout.source.with_file(name, solved)
    if inputs.bases:
        locked = locked.with_new_file(f"{image}/{base_images.FILE}", base_images.write(image, inputs.bases))
    elif (folder / base_images.FILE).is_file():  # of an image that names its bases by digest by now
        locked = locked.without_file(f"{image}/{base_images.FILE}")
    return locked.changes(checkout.source)


async def check_fresh(source: ImageSource) -> None:
    """Refuse a lock that does not fit its manifest, or that says of a package what its channel does not; and report it.

    Raises:
        LockError: pixi finds it stale, or a channel disagrees.
        PipelineError: a channel cannot be asked.
        PipelineError: the files cannot be used, or pixi cannot be asked.
    """
    for platform in source.spec.platforms:
        await source.locked(platform)
    name = source.files.name
    everything = {package.url: package for place in source.files.packages().values() for package in place.values()}
    if problems := await channel_check.find_differences(everything.values(), source.logins):
        raise LockError(
            Code.LOCK_STALE,
            f"{name} is not what its channels have: {listed(problems)}; {image_lock.relock_remedy(source.name)}",
        )
    log(f"{name} is fresh: pixi and the channels agree with it\n")
    if source.unpinned:
        log(f"{source.unpinned}\n")


def kept_bases(source: ImageSource, packages: Sequence[str]) -> dict[str, str] | None:
    """The digests that a new base.lock starts from; None where none is to be written.

    Args:
        source: the image.
        packages: what is locked; where it is everything, no digest is kept.

    Raises:
        LockError: digests are to be kept, and base.lock cannot be used.
    """
    if not packages:
        return {}
    held = source.base_lock
    if held is None:
        return None
    return {name: held[name] for name in base_images.to_lock(source.spec, source.settings).values() if name in held}


async def solve(inputs: BuildInputs, manifest: str) -> dagger.File:
    """Let pixi lock what a manifest asks for, and return the lock.

    Args:
        inputs: of the image; of a lock in its folder pixi keeps what fits, and without one it takes the newest.
        manifest: the manifest's file in the folder.

    Raises:
        PipelineError: the base image cannot be pulled.
        LockError: the CUDA of the base image does not fit.
        PipelineError: pixi found no solution, or did not end.
    """
    image, spec, settings = inputs.image, inputs.spec, inputs.settings
    base = await pixi_image.pull(inputs, "base", spec.base or settings.base)
    container = (
        # What somebody has installed there for himself is not pixi's to look at.
        base.with_directory(FOLDER, inputs.folder.without_directory(".pixi"))
        .with_workdir(FOLDER)
        .with_(lambda container: with_package_cache(container, SUBDIRS[inputs.platform]))
        # Packages are needed where a PyPI package is built to be solved; what channels list is read anew each time.
        .with_mounted_temp(f"{PACKAGE_CACHE}/repodata")
        .with_env_variable("CONDA_OVERRIDE_CUDA", spec.cuda or "")
        .with_(inputs.logins.mounted)
    )
    for attempt in range(TRIES):
        seconds = settings.solve_timeout * 2**attempt
        # What a channel has now is not what it had before: nothing may be answered from the engine's cache.
        now = container.with_env_variable("SOLVED_AT", str(time.time_ns()))
        solved = now.with_exec(["sh", "-euc", SOLVE, "sh", str(seconds)])
        try:
            return await solved.file(f"{FOLDER}/{LOCK}").sync()
        except dagger.ExecError as error:
            if error.exit_code != TIMED_OUT:
                output = inputs.logins.hide(f"{error.stdout}\n{error.stderr}")
                raise explain_solve(image, error.exit_code, output, manifest, inputs.logins.channels) from error
    raise PipelineError(
        Code.PIXI_TIMEOUT,
        f"{image}: pixi found no solution for {image}/{manifest} in {TRIES} tries of up to {seconds} seconds; run the "
        "same command again, or raise 'solve_timeout' of [tool.pipeline] in pyproject.toml",
    )


def explain_solve(
    image: str, exit_code: int, output: str, manifest: str = PIXI_TOML, known: Collection[str] = ()
) -> PipelineError:
    """The error to raise when pixi could not solve a manifest, from what it printed.

    Args:
        image: the image's name.
        exit_code: of pixi.
        output: all that it printed.
        manifest: the manifest's file in the image's folder.
        known: hosts of channels that somebody logs in to.
    """
    what = f"{image}: pixi cannot lock what {image}/{manifest} asks for"
    if exit_code == KILLED:
        return PipelineError(Code.PIXI_KILLED, killed(what))
    said = read(output)
    text = describe(image, said) or "it said nothing"
    if known_remedy := remedy(image, text, manifest, known):
        return PipelineError(Code.SOLVE_FAILED, f"{what}: {text}; {known_remedy}")
    return PipelineError(
        Code.SOLVE_FAILED,
        f"{what}: {text}{advice(said)}; correct it there, or if the channel was out of reach, "
        "run the same command again",
    )


def start(files: LockFiles, spec: ImageSpec, packages: Sequence[str]) -> str | None:
    """The lock to solve from, so that only some packages change; None where all may.

    Args:
        files: the image's manifest and lock.
        spec: its image.toml.
        packages: names of conda or PyPI packages, in any case; none means all.

    Raises:
        LockError: there is no lock to keep, it cannot be read, or nobody asks for a package of such a name.
        PipelineError: the manifest has no such environment or platform.
    """
    manifest, image, name = files.manifest, files.folder.name, files.name
    for platform in spec.platforms:
        check_manifest(manifest, spec, platform)
    if not packages:
        return None
    everything = f"lock all packages ('lock --image {image}' without --package)"
    if not files.path.is_file():
        raise LockError(Code.LOCK_MISSING, f"{name} is missing, and so there is nothing to keep; {everything}")
    locked = files.packages(everything)
    found = {package.name for place in locked.values() for package in place.values() if package.url}
    asked = manifest.packages()
    known = found | {name.lower() for name in asked} | {canonicalize_name(name) for name in asked}
    chosen: set[str] = set()
    for package in packages:
        # What conda and PyPI make of a name.
        names = {package.lower(), canonicalize_name(package)}
        chosen |= names
        if not names & known:
            raise LockError(
                Code.PACKAGE_UNKNOWN,
                f"package '{package}' is neither in {name} nor asked for in {manifest.name}; "
                f"{nearest(package.lower(), known)}",
            )
    urls = {package.url for place in locked.values() for package in place.values() if package.name in chosen}
    # The lock says of an address of its own that it is one.
    return without(files.path.read_text(encoding="utf-8"), urls | {f"direct+{url}" for url in urls})
