"""A failed pixi, told in one sentence that names the file or package and the remedy."""

import re
from collections.abc import Collection
from typing import Final

from pipeline.build.pixi_output import Said, read
from pipeline.credentials.channel_auth import explain_refusal
from pipeline.errors import Code, LockError, PipelineError
from pipeline.locks.image_lock import relock_remedy
from pipeline.locks.manifest import PIXI_TOML

#: What `timeout` of coreutils exits with when it had to stop the command.
TIMED_OUT: Final = 124
#: What a shell exits with when its command was killed by signal 9: by the kernel, which ran out of memory, or a person.
KILLED: Final = 137
#: A function of the shell: runs a command for some seconds. Arguments: the seconds, and the command. One that had to be
#: killed after its time looks as if somebody else had killed it: it is told apart by the clock.
WITHIN: Final = f"""
within() {{
  began=$(date +%s)
  timeout --kill-after=10 "$@" && return
  code=$?
  [ $(($(date +%s) - began)) -lt "$1" ] || code={TIMED_OUT}
  return $code
}}
"""
_ADDRESS: Final = re.compile(r"https?://(?:[^/@\s]*@)?([\w.-]+(?::\d+)?)")
#: Which conda package is which one of PyPI; pixi does not always say which host it asked.
_MAPPING_HOST: Final = "conda-mapping.prefix.dev"
_NO_MAPPING: Final = re.compile(r"conda-pypi[ -]mapping|PyPI equivalents|pypi name mapping|conda-mapping\.prefix\.dev")
#: With an equals sign after it it is one of those that the machine has.
_NO_CUDA: Final = re.compile(r"__cuda\b(?!=)")
_NO_CUDA_TO_SOLVE_FOR: Final = re.compile(r"__cuda\b[^;]* no candidates")
_NO_VIRTUAL: Final = re.compile(r"irtual packages? [\[']*(__\w+)|missing virtual packages: (__\w+)")
_NO_PLATFORM: Final = re.compile(r"no platform supported by")
_NO_PROGRAM: Final = (
    re.compile(r"(?:^|[\s:])([\w.+-]+): (?:command )?not found"),
    re.compile(r"(?:command|linker|execute) [`'\"]([\w.+/-]+)['`\"]:?(?: failed)?:? (?:not found|No such file)"),
    re.compile(r"\b([Gg]it) executable not found"),
)
_KILLED_CHILD: Final = re.compile(r"\bsignal: 9\b|\bSIGKILL\b")
_STALE: Final = re.compile(r"up[ -]to[ -]date")
_NEWER_LOCK: Final = re.compile(r"newer lock-?file format|[Ll]ock-?file version \d+ is newer")


def describe(image: str, said: Said) -> str:
    """The chain of causes in one line: nothing twice, no password, and files where a person has them."""
    told: list[str] = []
    for cause in said.causes:
        if not any(cause in before for before in told):
            told.append(cause)
    text = re.sub(r"://[^/@\s]*@", "://***@", ": ".join(told))
    return re.sub(r"/(?:app|solve)/(?=pixi\.|pyproject\.)", f"{image}/", text)


def http_status(text: str) -> int:
    """The HTTP status that a text tells of: 401, 403 or 404; 0 where it tells of none of them."""
    match = re.search(r"\b(40[134]) (?:Unauthorized|Forbidden|Not Found)\b|status(?: code)?:? (40[134])\b", text)
    return int(match[1] or match[2]) if match else 0


def killed(what: str) -> str:
    """The sentence about a step that signal 9 ended."""
    return (
        f"{what}: it was killed (exit code {KILLED}), mostly because the machine has too little memory; "
        "give the engine more, and run the same command again"
    )


def remedy(image: str, text: str, manifest: str = PIXI_TOML, known: Collection[str] = ()) -> str:
    """What to do about a failure of pixi that is no lock's fault; empty where nothing is known about it.

    Args:
        image: the image's name.
        text: the chain of causes.
        manifest: the manifest's file in the image's folder.
        known: hosts of channels that somebody logs in to.
    """
    address = _ADDRESS.search(text)
    host = address[1] if address else "HOST"
    if _NO_MAPPING.search(text):
        return (
            f"pixi asks {host if address else _MAPPING_HOST} which conda package is which one of PyPI, and that host "
            "was out of reach: run the same command again, or set 'conda-pypi-map = false' in [workspace] of "
            f"{image}/{manifest}, with which pixi asks nobody (before pixi 0.71: 'conda-pypi-map = {{}}')"
        )
    if refusal := explain_refusal(text, known):
        return refusal
    return _missing(image, text, manifest)


def _missing(image: str, text: str, manifest: str) -> str:
    """The remedy where the machine lacks something, as far as pixi was told what it has."""
    spec, manifest = f"{image}/image.toml", f"{image}/{manifest}"
    program = next(filter(None, (pattern.search(text) for pattern in _NO_PROGRAM)), None)
    virtual = _NO_VIRTUAL.search(text)
    if _NO_CUDA_TO_SOLVE_FOR.search(text):
        found = (
            f"ask for CUDA in {manifest}, such as "
            '\'platforms = [{ name = "linux-64-cuda", platform = "linux-64", cuda = "12.8" }]\' in [workspace] '
            f"(before pixi 0.71: 'cuda' in [system-requirements]), and in key 'cuda' of {spec}"
        )
    elif _NO_CUDA.search(text):
        found = (
            f"correct key 'cuda' of {spec}: pixi is told that the machine has this version, by CONDA_OVERRIDE_CUDA, "
            "and otherwise that it has no CUDA"
        )
    elif virtual:
        found = f"choose a 'base' in {spec} that has such a {virtual[1] or virtual[2]}, or lock for this one"
    elif _NO_PLATFORM.search(text):
        found = (
            f"its platforms in {manifest} ask for what pixi was not told of: make key 'cuda' of {spec} what they ask "
            "for, or let it be on a platform without CUDA"
        )
    elif _KILLED_CHILD.search(text):
        found = (
            "it was killed, mostly because the machine has too little memory: give the engine more, and run it again"
        )
    elif program:
        found = f"'{program[1]}' is missing: choose a 'base' in {spec} that has it, or ask for it in {manifest}"
    else:
        found = ""
    return found


def explain_install(  # noqa: PLR0913  # all that the sentence says
    image: str,
    environment: str,
    exit_code: int,
    output: str,
    *,
    manifest: str = PIXI_TOML,
    known: Collection[str] = (),
) -> PipelineError:
    """The error to raise when ``pixi install --locked`` ended with another exit code than 0.

    Args:
        image: the image's name, and so its folder.
        environment: the environment that was installed.
        exit_code: what pixi exited with.
        output: all that it printed.
        manifest: the manifest's file in the folder.
        known: hosts of channels that somebody logs in to.
    """
    if exit_code == TIMED_OUT:
        return PipelineError(
            Code.PIXI_TIMEOUT,
            f"{image}: pixi did not end within the time that 'install_timeout' of [tool.pipeline] gives it; "
            "run the same command again, or give it more",
        )
    what = f"{image}: environment '{environment}' of {image}/pixi.lock was not installed"
    if exit_code == KILLED:
        return PipelineError(Code.PIXI_KILLED, killed(what))
    said = read(output)
    text = describe(image, said) or f"it exited with {exit_code} and said nothing"
    known_remedy = remedy(image, text, manifest, known)
    if not known_remedy and is_stale(text):
        return LockError(
            Code.LOCK_STALE,
            f"{image}/pixi.lock does not match {image}/{manifest} (pixi: {text}); {relock_remedy(image)}",
        )
    if known_remedy:
        return PipelineError(Code.INSTALL_FAILED, f"{what}: {text}; {known_remedy}")
    return PipelineError(Code.INSTALL_FAILED, f"{what}: {text}{advice(said)}; {_package_remedy(image, text)}")


def is_stale(text: str) -> bool:
    """Whether pixi says of a lock that it does not fit the manifest, or is of a newer format than it knows."""
    return bool(_STALE.search(text) or _NEWER_LOCK.search(text))


def _package_remedy(image: str, text: str) -> str:
    """The remedy where a package could not be had."""
    lower = text.lower()
    if "hash" in lower and ("mismatch" in lower or "not match" in lower or "expected" in lower):
        return (
            "the package is not the one that was locked: if its channel replaced it, "
            f"{relock_remedy(image)}, otherwise do not trust the channel"
        )
    if http_status(text) == 404:  # noqa: PLR2004  # what HTTP calls it
        return f"the channel no longer has this package: {relock_remedy(image)}"
    return "if the channel was out of reach, run the same command again: what was downloaded is kept"


def advice(said: Said) -> str:
    """Help by pixi itself, to be put after its causes; not where it names a command that nobody can type in a build."""
    return "" if not said.help or re.search(r"[`']pixi ", said.help) else f" ({said.help})"
