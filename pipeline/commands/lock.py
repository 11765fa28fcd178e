"""Relocking and checking of a lock, by the pixi of the image's own base, so that the build's pixi can read the lock."""

import contextlib
import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

import dagger
from packaging.utils import canonicalize_name

from pipeline.build import pixi_image
from pipeline.build.inputs import BuildInputs
from pipeline.build.pixi_errors import KILLED, TIMED_OUT, WITHIN, advice, describe, killed, remedy
from pipeline.build.pixi_output import read
from pipeline.checkout import Checkout, ImageSource
from pipeline.config.image_toml import FILE as SPEC
from pipeline.config.image_toml import ImageSpec
from pipeline.config.settings import SETTINGS
from pipeline.config.validation import listed, nearest
from pipeline.errors import Code, LockError, PipelineError, SpecError
from pipeline.locks import base_images, channel_check, image_lock
from pipeline.locks.diff import compare, report
from pipeline.locks.image_lock import LOCK, LockFiles, check_manifest
from pipeline.locks.lockfile import read_packages
from pipeline.locks.manifest import PIXI_TOML
from pipeline.locks.unpin import without
from pipeline.output.console import log
from pipeline.output.formats import Format

#: Path of the image's folder in the container that solves.
FOLDER: Final = "/solve"
#: Mount point of pixi's cache in the container that solves.
_CACHE: Final = "/solve-cache"
#: Number of tries to solve, each with twice the time of the last one: sometimes pixi hangs.
TRIES: Final = 3
#: An older pixi has no `lock` command, but `list` locks too. Argument: the timeout in seconds.
SOLVE: Final = f"""{WITHIN}
export HOME="${{LOGINS_HOME:-${{HOME:-/root}}}}" # An older pixi looks for credentials there.
if pixi lock --help >/dev/null 2>&1; then
  set -- "$1" pixi lock
else
  # Of 160 solves on a busy machine 15 hung with several threads, and 5 with one.
  export TOKIO_WORKER_THREADS=1
  set -- "$1" pixi list --no-install
fi
export PIXI_NO_WRAP=1
within "$@"
"""


async def relock(checkout: Checkout, image: str, packages: Sequence[str], *, check: bool) -> dagger.Changeset:
    """Lock an image's base images and packages again, report the changes, and return them.

    Args:
        checkout: the checkout with the image.
        image: the image's name.
        packages: the packages that may change, and no base image with them; without any, everything may change.
        check: change nothing, and reject a lock that is not fresh.

    Raises:
        PipelineError: a file is invalid, solving failed, or the lock is not fresh.
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
    digests = kept_bases(source, packages)
    inputs = BuildInputs(
        image, spec, settings, directory, spec.platforms[0], checkout.commit, digests or {}, checkout.logins
    )
    if digests is not None:
        inputs = replace(inputs, base_digests=await pixi_image.find_digests(inputs))
    solved = await solve(inputs, manifest.file)
    # A file of its own: the checkout's lock may be missing or broken.
    made = checkout.path / f"{image}.{LOCK}"
    await solved.export(str(made))
    after = read_packages(made, f"{LOCK} as pixi made it for {image}", "choose a base with another pixi")
    with contextlib.suppress(LockError):
        before = source.files.packages()
        changed = base_images.compare(source.base_lock or {}, inputs.base_digests)
        log(report(compare(image, "this checkout", before, after, changed), Format.TABLE))
    locked = checkout.source.with_file(name, solved)
    if inputs.base_digests:
        locked = locked.with_new_file(f"{image}/{base_images.FILE}", base_images.write(image, inputs.base_digests))
    elif (folder / base_images.FILE).is_file():  # left from before the image named its base images by digest
        locked = locked.without_file(f"{image}/{base_images.FILE}")
    return locked.changes(checkout.source)


async def check_fresh(source: ImageSource) -> None:
    """Reject a lock that does not fit its manifest, or that differs from its channels; log that it is fresh.

    Raises:
        LockError: pixi reports it as stale, or a channel has other packages.
        PipelineError: the files are invalid, or pixi or a channel cannot be queried.
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
    """Return the digests that a new base.lock keeps; None if no base.lock is to be written.

    Args:
        source: the image.
        packages: the packages that may change; without any, no digest is kept.

    Raises:
        LockError: digests are to be kept, and base.lock cannot be used.
    """
    if not packages:
        return {}
    locked = source.base_lock
    if locked is None:
        return None
    return {name: locked[name] for name in base_images.to_lock(source.spec, source.settings).values() if name in locked}


async def solve(inputs: BuildInputs, manifest: str) -> dagger.File:
    """Solve a manifest with pixi, and return the lock.

    Args:
        inputs: the image's build inputs; pixi keeps the packages of a lock in its folder as far as they fit.
        manifest: name of the manifest's file in the folder.

    Raises:
        LockError: the CUDA version of the base image does not fit.
        PipelineError: the base image cannot be pulled, or pixi found no solution in time.
    """
    image, spec, settings = inputs.image, inputs.spec, inputs.settings
    base = await pixi_image.pull(inputs, "base", spec.base or settings.base)
    container = (
        # Without the environments that somebody installed in the folder.
        base.with_directory(FOLDER, inputs.folder.without_directory(".pixi"))
        .with_workdir(FOLDER)
        # New for each solve: pixi builds source packages of PyPI to solve, and what their code leaves in a cache must
        # not get into another lock. The channels' repodata is read again in any case.
        .with_mounted_directory(_CACHE, dagger.dag.directory())
        .with_env_variable("PIXI_CACHE_DIR", _CACHE)
        .with_env_variable("RATTLER_CACHE_DIR", _CACHE)
        .with_env_variable("CONDA_OVERRIDE_CUDA", spec.cuda or "")
        .with_(inputs.logins.mounted)
    )
    for attempt in range(TRIES):
        seconds = settings.solve_timeout * 2**attempt
        # A channel's content changes between calls, so the engine must not answer from its cache.
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
        f"same command again, or raise 'solve_timeout' of {SETTINGS}",
    )


def explain_solve(
    image: str, exit_code: int, output: str, manifest: str = PIXI_TOML, known: Collection[str] = ()
) -> PipelineError:
    """Return the error for a manifest that pixi could not solve, from pixi's output.

    Args:
        image: the image's name.
        exit_code: pixi's exit code.
        output: pixi's whole output.
        manifest: name of the manifest's file in the image's folder.
        known: hosts of channels with credentials.
    """
    failure = f"{image}: pixi cannot lock what {image}/{manifest} asks for"
    if exit_code == KILLED:
        return PipelineError(Code.PIXI_KILLED, killed(failure))
    report = read(output)
    text = describe(image, report) or "it printed nothing"
    if known_remedy := remedy(image, text, manifest, known):
        return PipelineError(Code.SOLVE_FAILED, f"{failure}: {text}; {known_remedy}")
    return PipelineError(
        Code.SOLVE_FAILED,
        f"{failure}: {text}{advice(report)}; correct it there, or if the channel was out of reach, "
        "run the same command again",
    )


def start(files: LockFiles, spec: ImageSpec, packages: Sequence[str]) -> str | None:
    """Return the lock to solve from, so that only some packages change; None if all may change.

    Args:
        files: the image's manifest and lock.
        spec: its image.toml.
        packages: names of conda or PyPI packages, in any case; none means all.

    Raises:
        LockError: the lock is missing or cannot be read, or neither lock nor manifest has a package of such a name.
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
    installed = {package.name for place in locked.values() for package in place.values() if package.url}
    required = manifest.packages()
    known = installed | {name.lower() for name in required} | {canonicalize_name(name) for name in required}
    chosen: set[str] = set()
    for package in packages:
        # The name as conda and as PyPI normalize it.
        names = {package.lower(), canonicalize_name(package)}
        chosen |= names
        if not names & known:
            raise LockError(
                Code.PACKAGE_UNKNOWN,
                f"package '{package}' is neither in {name} nor asked for in {manifest.name}; "
                f"{nearest(package.lower(), known)}",
            )
    urls = {package.url for place in locked.values() for package in place.values() if package.name in chosen}
    # The lock marks the URL of a direct dependency.
    return without(files.path.read_text(encoding="utf-8"), urls | {f"direct+{url}" for url in urls})
