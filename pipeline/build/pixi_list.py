"""Ask the pixi of an image's base what it thinks of manifest and lock, before anything is downloaded.

It says whether the lock is fresh, which of several platforms it takes, and which packages it would install. The engine
keeps its answer for as long as the base image, the manifest, the lock and the sources stay the same.
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
from pipeline.config.validation import listed
from pipeline.errors import Code, LockError, PipelineError
from pipeline.locks.image_lock import LOCK, ImageLock, Locked, relock_remedy
from pipeline.locks.lockfile import Packages
from pipeline.locks.manifest import Manifest

#: Where the answer is written: it is long, and no output to look at.
_ANSWER: Final = "/pixi-list.json"
#: The virtual package that stands for a CUDA version, by kind and name.
CUDA: Final = ("virtual", "__cuda")
#: What the script ends with where a package comes from git and the base image has no git.
NO_GIT: Final = 91
#: pixi gives its reason for finding a lock stale only where it is asked to be this verbose, and wraps its lines at 80
#: columns unless it is told not to (0.15 does so anyway).
#: Arguments: where to write the answer, "git" where a package needs it, the seconds that pixi gets, and pixi's own
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


#: How pixi tells why it finds a lock stale.
_REASON: Final = re.compile(r"(?:the|environment)\b[^\n]* out of date because ([^\n]+)")

#: And which package nobody has locked as the manifest asks for it.
_REQUIREMENT: Final = re.compile(r"requirement '([\w.-]+)")


class Listed(BaseModel):
    """One package as `pixi list --json` prints it."""

    model_config = ConfigDict(frozen=True)

    name: str
    kind: str
    version: str | None = None
    build: str | None = None


def selected(environment: str) -> list[str]:
    """The arguments by which pixi takes an environment; pixi 0.15 does not know the default one by its name."""
    return [] if environment == "default" else ["--environment", environment]


def with_inputs(container: dagger.Container, inputs: BuildInputs, lock: ImageLock) -> dagger.Container:
    """Mount all that pixi reads of an image's folder where the image has it, and set the CUDA version that it finds.

    Args:
        container: a base image; it has pixi.
        inputs: what the image is made from.
        lock: what was read of manifest and lock.
    """
    folder = inputs.folder
    # Without CUDA pixi is told so: what the machine has is a matter of chance.
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
    """The packages that pixi installs for an image.

    Args:
        base: the image's base; it has pixi.
        inputs: what the image is made from.
        lock: what was read of manifest and lock.
        address: the base, for messages.

    Raises:
        LockError: pixi finds that the lock does not fit the manifest.
        PipelineError: pixi cannot be asked.
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
    """The error to raise when `pixi list` failed, from what it printed.

    Args:
        manifest: of the image.
        environment: the one that is asked for; pixi looks at all, and what it says of this one comes first.
        exit_code: of pixi.
        output: all that it printed.
    """
    image = manifest.image
    if exit_code == TIMED_OUT:
        return PipelineError(
            Code.PIXI_TIMEOUT,
            f"{image}: pixi did not list the packages of {image}/{LOCK} within the time that 'solve_timeout' of "
            "[tool.pipeline] gives it; run the same command again, or give it more",
        )
    if exit_code == KILLED:
        return PipelineError(Code.PIXI_KILLED, killed(f"{image}: pixi did not list the packages of {image}/{LOCK}"))
    drawn = read(output)
    text = describe(image, drawn) or f"it ended with {exit_code} and printed nothing"
    reasons = dict.fromkeys(match[0].strip().rstrip(".") for match in _REASON.finditer(COLOURS.sub("", output)))
    if reasons or is_stale(text):
        said = listed(sorted(reasons, key=lambda reason: f"environment '{environment}'" not in reason)) or text
        asked = _REQUIREMENT.search(said)
        return LockError(
            Code.LOCK_STALE,
            f"{image}/{LOCK} does not match {manifest.name} (pixi: {said}); {relock_remedy(image)}",
            at={manifest.name: manifest.ways_to(environment, asked[1])} if asked else None,
        )
    known = remedy(image, text, manifest.file)
    if not known:
        text, known = f"{text}{advice(drawn)}", "correct it there"
    return PipelineError(Code.MANIFEST_INVALID, f"{manifest.name} cannot be used: pixi says: {text}; {known}")


def read_answer(image: str, answer: str) -> list[Listed]:
    """The packages that `pixi list --json` printed.

    Raises:
        PipelineError: it printed something else.
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
    """The one of a lock's candidates whose packages pixi lists.

    Raises:
        LockError: it lists the packages of none.
    """
    found = list(packages)
    for candidate in lock.candidates:
        if _identities(candidate.packages) == {_identity(package) for package in found}:
            return candidate
    raise LockError(
        Code.LOCK_STALE,
        f"{image}: the pixi of the base image lists other packages than {image}/{LOCK} holds for environment "
        f"'{lock.candidates[0].place.environment}'; {relock_remedy(image)}",
    )


def platform_note(image: str, lock: ImageLock, locked: Locked) -> str:
    """A note where pixi takes a platform without CUDA, and the lock has one with it; nothing otherwise.

    Args:
        image: the image's name; its image.toml has a CUDA version.
        lock: what was read of manifest and lock.
        locked: what pixi takes of it.
    """
    others = [found.place.platform for found in lock.candidates if CUDA in found.packages]
    if CUDA in locked.packages or not others:
        return ""
    return (
        f"{image}: pixi takes {locked.place.platform}, without CUDA, and not {', '.join(others)}: of the 'platforms' "
        f"of {lock.manifest.name} it takes the first that fits; put the one with CUDA first\n"
    )


def _identities(packages: Packages) -> set[tuple[str, ...]]:
    return {
        (kind, name) if kind == "pypi" else (kind, name, package.version, package.build)
        for (kind, name), package in packages.items()
        if kind != "virtual"
    }


def _identity(package: Listed) -> tuple[str, ...]:
    # The version of a PyPI package may be written in another way, or be known when it is built.
    if package.kind == "pypi":
        return package.kind, canonicalize_name(package.name)
    return package.kind, package.name.lower(), package.version or "", package.build or ""
