"""Packages of a lock as listed by the pixi of an image's base, before anything is downloaded.

pixi decides whether the lock is fresh, which of several platforms applies, and which packages to install. The engine
caches the list for as long as the base image, the manifest, the lock and the sources stay the same.
"""

import re
from collections.abc import Iterable
from typing import Final

import dagger
from packaging.utils import canonicalize_name
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from pipeline.build.finalize import APP
from pipeline.build.inputs import BuildInputs
from pipeline.build.pixi_errors import KILLED, TIMED_OUT, WITHIN, advice, describe, is_stale, killed, remedy
from pipeline.build.pixi_output import COLOURS, read
from pipeline.config.settings import SETTINGS
from pipeline.config.validation import listed
from pipeline.errors import Code, LockError, PipelineError
from pipeline.locks.image_lock import LOCK, ImageLock, Locked, relock_remedy
from pipeline.locks.lockfile import Packages
from pipeline.locks.manifest import Manifest

#: File for pixi's list: it is too long to be output.
_ANSWER: Final = "/pixi-list.json"
#: The virtual package that stands for a CUDA version, by kind and name.
CUDA: Final = ("virtual", "__cuda")
#: Exit code of the script where a package comes from git and the base image has no git.
NO_GIT: Final = 91
#: Only with -vv does pixi give its reason for a stale lock. PIXI_NO_WRAP keeps it from wrapping lines at 80 columns,
#: except in 0.15.
#: Arguments: the file for the list, "git" where a package needs it, pixi's time limit in seconds, and pixi's own
#: arguments that select the environment.
_LIST: Final = f"""{WITHIN}
answer=$1 git=$2 seconds=$3
shift 3
if [ -n "$git" ] && ! command -v "$git" > /dev/null; then
  exit {NO_GIT}
fi
export PIXI_NO_WRAP=1
within "$seconds" pixi list -vv --locked --no-install --json "$@" > "$answer"
"""


#: pixi's reason for a stale lock.
_REASON: Final = re.compile(r"(?:the|environment)\b[^\n]* out of date because ([^\n]+)")

#: Name of a package, in this reason, whose requirement the lock does not meet.
_REQUIREMENT: Final = re.compile(r"requirement '([\w.-]+)")


class Listed(BaseModel):
    """One package in the output of `pixi list --json`."""

    model_config = ConfigDict(frozen=True)

    name: str
    kind: str
    version: str | None = None
    build: str | None = None


def selected(environment: str) -> list[str]:
    """Return pixi's arguments that select an environment; pixi 0.15 does not accept the name of the default one."""
    return [] if environment == "default" else ["--environment", environment]


def with_inputs(container: dagger.Container, inputs: BuildInputs, lock: ImageLock) -> dagger.Container:
    """Mount the files of an image's folder that pixi reads at their paths in the image, and set the CUDA version.

    Args:
        container: a base image; it has pixi.
        inputs: build inputs of the image.
        lock: its manifest and lock.
    """
    folder = inputs.folder
    # Set without CUDA, too: the build must not depend on the machine's driver.
    container = container.with_workdir(APP).with_env_variable("CONDA_OVERRIDE_CUDA", inputs.spec.cuda or "")
    for path, is_folder in lock.sources.items():
        if is_folder:
            container = container.with_mounted_directory(f"{APP}/{path}", folder.directory(path))
        else:
            container = container.with_mounted_file(f"{APP}/{path}", folder.file(path))
    for file in (lock.manifest.file, LOCK):
        container = container.with_mounted_file(f"{APP}/{file}", folder.file(file))
    return container


async def ask(base: dagger.Container, inputs: BuildInputs, lock: ImageLock, address: str) -> Locked:
    """Ask pixi which packages it installs for an image.

    Args:
        base: the image's base; it has pixi.
        inputs: build inputs of the image.
        lock: its manifest and lock.
        address: the base's address, for messages.

    Raises:
        LockError: the lock is stale for pixi.
        PipelineError: pixi cannot run or use the manifest.
    """
    image, settings = inputs.image, inputs.settings
    arguments = [_ANSWER, "git" if lock.git else "", str(settings.solve_timeout), *selected(inputs.spec.environment)]
    asking = (
        with_inputs(base, inputs, lock).with_(inputs.logins.mounted).with_exec(["sh", "-euc", _LIST, "sh", *arguments])
    )
    try:
        answer = await asking.file(_ANSWER).contents()
    except dagger.ExecError as error:
        if error.exit_code == NO_GIT:
            raise PipelineError(
                Code.BASE_IMAGE_UNSUITABLE,
                f"{image}: package '{lock.git}' of {image}/{LOCK} comes from git, and the base image {address} has no "
                f"program git; choose a base that has it as 'base' in {inputs.file}",
            ) from error
        output = inputs.logins.hide(f"{error.stdout}\n{error.stderr}")
        raise explain(lock.manifest, inputs.spec.environment, error.exit_code, output) from error
    return choose(image, lock, read_answer(image, answer))


def explain(manifest: Manifest, environment: str, exit_code: int, output: str) -> PipelineError:
    """Return the error to raise for a failed `pixi list`, from its output.

    Args:
        manifest: the image's manifest.
        environment: the image's environment; pixi checks all, and its reasons about this one come first.
        exit_code: pixi's exit code.
        output: pixi's whole output.
    """
    image = manifest.image
    if exit_code == TIMED_OUT:
        return PipelineError(
            Code.PIXI_TIMEOUT,
            f"{image}: pixi did not list the packages of {image}/{LOCK} within the time that 'solve_timeout' of "
            f"{SETTINGS} gives it; run the same command again, or give it more",
        )
    if exit_code == KILLED:
        return PipelineError(Code.PIXI_KILLED, killed(f"{image}: pixi did not list the packages of {image}/{LOCK}"))
    failure = read(output)
    text = describe(image, failure) or f"it ended with {exit_code} and printed nothing"
    reasons = dict.fromkeys(match[0].strip().rstrip(".") for match in _REASON.finditer(COLOURS.sub("", output)))
    if reasons or is_stale(text):
        reason = listed(sorted(reasons, key=lambda clause: f"environment '{environment}'" not in clause)) or text
        requirement = _REQUIREMENT.search(reason)
        return LockError(
            Code.LOCK_STALE,
            f"{image}/{LOCK} does not match {manifest.name} (pixi: {reason}); {relock_remedy(image)}",
            at={manifest.name: manifest.ways_to(environment, requirement[1])} if requirement else None,
        )
    known = remedy(image, text, manifest.file)
    if not known:
        text, known = f"{text}{advice(failure)}", "correct it there"
    return PipelineError(Code.MANIFEST_INVALID, f"{manifest.name} cannot be used: pixi reports: {text}; {known}")


def read_answer(image: str, answer: str) -> list[Listed]:
    """Parse the output of `pixi list --json`.

    Raises:
        PipelineError: it is no list of packages.
    """
    try:
        # pixi 0.15 prints nothing where there is no package.
        return TypeAdapter(list[Listed]).validate_json(answer.strip() or "[]")
    except ValidationError as error:
        raise PipelineError(
            Code.BASE_IMAGE_UNSUITABLE,
            f"{image}: 'pixi list --json' of the base image printed no list of packages "
            f"({error.errors()[0]['msg']}); choose a base with pixi 0.15 or later",
        ) from error


def choose(image: str, lock: ImageLock, packages: Iterable[Listed]) -> Locked:
    """Return the candidate of a lock whose packages pixi lists.

    Raises:
        LockError: no candidate has these packages.
    """
    identities = {_identity(package) for package in packages}
    for candidate in lock.candidates:
        if _identities(candidate.packages) == identities:
            return candidate
    raise LockError(
        Code.LOCK_STALE,
        f"{image}: the pixi of the base image lists other packages than {image}/{LOCK} holds for environment "
        f"'{lock.candidates[0].target.environment}'; {relock_remedy(image)}",
    )


def platform_note(image: str, lock: ImageLock, locked: Locked) -> str:
    """Return a note where pixi takes a platform without CUDA although the lock has one with it; empty otherwise.

    Args:
        image: the image's name; its image.toml has a CUDA version.
        lock: its manifest and lock.
        locked: the candidate that pixi takes.
    """
    others = [candidate.target.platform for candidate in lock.candidates if CUDA in candidate.packages]
    if CUDA in locked.packages or not others:
        return ""
    return (
        f"{image}: pixi takes {locked.target.platform}, without CUDA, and not {', '.join(others)}: of the 'platforms' "
        f"of {lock.manifest.name} it takes the first that fits; put the one with CUDA first\n"
    )


def _identities(packages: Packages) -> set[tuple[str, ...]]:
    return {
        (kind, name) if kind == "pypi" else (kind, name, package.version, package.build)
        for (kind, name), package in packages.items()
        if kind != "virtual"
    }


def _identity(package: Listed) -> tuple[str, ...]:
    # The version of a PyPI package can be written in several ways, or be unknown until it is built.
    if package.kind == "pypi":
        return package.kind, canonicalize_name(package.name)
    return package.kind, package.name.lower(), package.version or "", package.build or ""
