"""Error messages for failures of pixi: one sentence with the file or package and the remedy."""

import re
from collections.abc import Collection
from typing import Final

from pipeline.build.pixi_output import PixiFailure, read
from pipeline.config.settings import SETTINGS
from pipeline.credentials.channel_auth import explain_refusal
from pipeline.errors import Code, LockError, PipelineError
from pipeline.locks.image_lock import relock_remedy
from pipeline.locks.manifest import PIXI_TOML

#: Exit code of `timeout` of coreutils when it had to stop the command.
TIMED_OUT: Final = 124
#: Exit code of a command that signal 9 killed: sent by the kernel, for lack of memory, or by a person.
KILLED: Final = 137
#: A function of the shell: runs a command for some seconds. Arguments: the seconds, and the command. One that had to be
#: killed after its time exits like one that ran out of memory: the elapsed time distinguishes the two.
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
#: Host of the mapping from conda to PyPI names; pixi does not always name the host that it asked.
_MAPPING_HOST: Final = "conda-mapping.prefix.dev"
_NO_MAPPING: Final = re.compile(r"conda-pypi[ -]mapping|PyPI equivalents|pypi name mapping|conda-mapping\.prefix\.dev")
#: With an equals sign after it, `__cuda` is a virtual package that the machine has.
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
#: pixi reads a version that begins with ``^`` as a regular expression of conda's.
_CARET: Final = re.compile(r"unsupported regular expression|version spec: [\^~]|invalid operator '~'")
_NEWER_LOCK: Final = re.compile(r"newer lock-?file format|[Ll]ock-?file version \d+ is newer")


def describe(image: str, failure: PixiFailure) -> str:
    """Return the chain of causes in one line, without repetitions and passwords, and with paths of the checkout."""
    causes: list[str] = []
    for cause in failure.causes:
        if not any(cause in before for before in causes):
            causes.append(cause)
    text = re.sub(r"://[^/@\s]*@", "://***@", ": ".join(causes))
    return re.sub(r"/(?:app|solve)/(?=pixi\.|pyproject\.)", f"{image}/", text)


def http_status(text: str) -> int:
    """Return the HTTP status in a text: 401, 403 or 404; 0 where it has none of them."""
    match = re.search(r"\b(40[134]) (?:Unauthorized|Forbidden|Not Found)\b|status(?: code)?:? (40[134])\b", text)
    return int(match[1] or match[2]) if match else 0


def killed(failure: str) -> str:
    """Return the sentence about a step that signal 9 killed."""
    return (
        f"{failure}: it was killed (exit code {KILLED}), mostly because the machine has too little memory; "
        "give the engine more, and run the same command again"
    )


def remedy(image: str, text: str, manifest: str = PIXI_TOML, known: Collection[str] = ()) -> str:
    """Return the remedy for a failure of pixi that no stale lock caused; empty where none is known.

    Args:
        image: the image's name.
        text: the chain of causes.
        manifest: the manifest's file in the image's folder.
        known: hosts of channels that the call has credentials for.
    """
    address = _ADDRESS.search(text)
    host = address[1] if address else "HOST"
    if _NO_MAPPING.search(text):
        return (
            f"pixi asks {host if address else _MAPPING_HOST} for the PyPI names of conda packages, and that host was "
            "out of reach: run the same command again, or set 'conda-pypi-map = false' in [workspace] of "
            f"{image}/{manifest}, with which pixi asks no host (before pixi 0.71: 'conda-pypi-map = {{}}')"
        )
    if refusal := explain_refusal(text, known):
        return refusal
    if _CARET.search(text):
        return (
            f"conda has no '^' and no '~': write the limits of the version in {image}/{manifest}, such as '>=3.12,<4'"
        )
    return _missing(image, text, manifest)


def _missing(image: str, text: str, manifest: str) -> str:
    """Return the remedy where the build lacks a program, memory, or a virtual package; empty otherwise."""
    spec, manifest = f"{image}/image.toml", f"{image}/{manifest}"
    program = next(filter(None, (pattern.search(text) for pattern in _NO_PROGRAM)), None)
    virtual = _NO_VIRTUAL.search(text)
    if _NO_CUDA_TO_SOLVE_FOR.search(text):
        clause = (
            f"ask for CUDA in {manifest}, such as "
            '\'platforms = [{ name = "linux-64-cuda", platform = "linux-64", cuda = "12.8" }]\' in [workspace] '
            f"(before pixi 0.71: 'cuda' in [system-requirements]), and in key 'cuda' of {spec}"
        )
    elif _NO_CUDA.search(text):
        clause = (
            f"correct key 'cuda' of {spec}: pixi takes it as the machine's CUDA version, by CONDA_OVERRIDE_CUDA; "
            "without the key, the machine has no CUDA for pixi"
        )
    elif virtual:
        clause = f"choose a 'base' in {spec} that has such a {virtual[1] or virtual[2]}, or lock for this one"
    elif _NO_PLATFORM.search(text):
        clause = (
            f"its platforms in {manifest} require another CUDA version than the build has: set key 'cuda' of {spec} to "
            f"what they require, or give {manifest} a platform without CUDA"
        )
    elif _KILLED_CHILD.search(text):
        clause = (
            "it was killed, mostly because the machine has too little memory: give the engine more, and run it again"
        )
    elif program:
        name = program[1].replace("Git", "git")
        clause = f"'{name}' is missing: choose a 'base' in {spec} that has it, or ask for it in {manifest}"
    else:
        clause = ""
    return clause


def explain_install(  # noqa: PLR0913  # the sentence needs all of these
    image: str,
    environment: str,
    exit_code: int,
    output: str,
    *,
    manifest: str = PIXI_TOML,
    known: Collection[str] = (),
) -> PipelineError:
    """Return the error to raise for a failed ``pixi install --locked``.

    Args:
        image: the image's name, which is also its folder's.
        environment: the environment to install.
        exit_code: pixi's exit code.
        output: pixi's whole output.
        manifest: the manifest's file in the folder.
        known: hosts of channels that the call has credentials for.
    """
    if exit_code == TIMED_OUT:
        return PipelineError(
            Code.PIXI_TIMEOUT,
            f"{image}: pixi did not end within the time that 'install_timeout' of {SETTINGS} gives it; "
            "run the same command again, or give it more",
        )
    what = f"{image}: environment '{environment}' of {image}/pixi.lock was not installed"
    if exit_code == KILLED:
        return PipelineError(Code.PIXI_KILLED, killed(what))
    failure = read(output)
    text = describe(image, failure) or f"it exited with {exit_code} and printed nothing"
    known_remedy = remedy(image, text, manifest, known)
    if not known_remedy and is_stale(text):
        return LockError(
            Code.LOCK_STALE,
            f"{image}/pixi.lock does not match {image}/{manifest} (pixi: {text}); {relock_remedy(image)}",
        )
    if known_remedy:
        return PipelineError(Code.INSTALL_FAILED, f"{what}: {text}; {known_remedy}")
    return PipelineError(Code.INSTALL_FAILED, f"{what}: {text}{advice(failure)}; {_package_remedy(image, text)}")


def is_stale(text: str) -> bool:
    """Return whether pixi reports a lock that does not match the manifest, or whose format is too new for it."""
    return bool(_STALE.search(text) or _NEWER_LOCK.search(text))


def _package_remedy(image: str, text: str) -> str:
    """Return the remedy where a package could not be downloaded."""
    lower = text.lower()
    if "hash" in lower and ("mismatch" in lower or "not match" in lower or "expected" in lower):
        return (
            "the package is not the one that was locked: if its channel replaced it, "
            f"{relock_remedy(image)}, otherwise do not trust the channel"
        )
    if http_status(text) == 404:  # noqa: PLR2004  # HTTP's own number
        return f"the channel no longer has this package: {relock_remedy(image)}"
    return "if the channel was out of reach, run the same command again: what was downloaded is kept"


def advice(failure: PixiFailure) -> str:
    """Return pixi's own help, to append to its causes; empty where it names a pixi command, of no use in a build."""
    return "" if not failure.help or re.search(r"[`']pixi ", failure.help) else f" ({failure.help})"
