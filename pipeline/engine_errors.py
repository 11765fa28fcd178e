"""Errors of the engine as one sentence each: of all of them that nobody nearer to the cause has explained."""

import functools
import re
from collections.abc import Callable, Collection, Coroutine
from typing import Any, Concatenate, Final, Protocol

import dagger

from pipeline.credentials.registry_auth import RegistryAuth, address_of, explain_rejected_pull
from pipeline.errors import Code, PipelineError

#: The engine's error about an image that it cannot pull: address and reason.
_PULL: Final = re.compile(r"failed to resolve source metadata for (?P<address>\S+): (?P<reason>.*)")
_SECRET: Final = re.compile(r"secret env var not found|failed to (read|run) secret|unable to lookup \"\w+://")
_TRACE: Final = re.compile(r"\s*\[traceparent:[^\]]*\]")
#: Words of the engine for causes that have a remedy of their own.
_REMEDIES: Final = {
    "no space left on device": "free space on the engine's disk, such as by 'dagger core engine local-cache prune'",
    # Dagger before v0.21.8: a file was that of an equal checkout, whose call has ended in between.
    "module not found": "the engine mixed this call up with another one; run the same command again",
}
_OTHERWISE: Final = "run the same command again; the log of the engine has the details"


def explain(error: dagger.DaggerError, known: Collection[str] = ()) -> PipelineError:
    """Return the error for a user.

    Args:
        error: error of the engine, or of the connection to it.
        known: addresses with credentials.
    """
    text = _one_line(error)
    if pull := _PULL.search(text):
        address = pull["address"]
        remedy = explain_rejected_pull(text, address, known) or "check its name, and that its registry can be reached"
        if "@" in address:
            remedy += "; if it no longer has this digest, pin another one ('dagger call lock' does so for tool images)"
        return PipelineError(
            Code.BASE_IMAGE_UNAVAILABLE,
            f"image {address}, which a step needs, cannot be pulled: {reason_of(error)}; {remedy}",
        )
    if _SECRET.search(text):
        return PipelineError(
            Code.CREDENTIALS_INVALID, f"a secret cannot be read: {text}; correct the argument that names it"
        )
    remedy = next((remedy for words, remedy in _REMEDIES.items() if words in text), _OTHERWISE)
    if isinstance(error, dagger.ExecError):
        return PipelineError(
            Code.STEP_FAILED, f"a step ended with exit code {error.exit_code}: {reason_of(error)}; {remedy}"
        )
    what = "the engine failed" if isinstance(error, dagger.QueryError) else "the connection to the engine failed"
    return PipelineError(Code.STEP_FAILED, f"{what}: {text}; {remedy}")


def reason_of(error: dagger.DaggerError) -> str:
    """Return the reason for a message: the last line that a failed step printed, or else the engine's own."""
    if isinstance(error, dagger.ExecError):
        lines = [line.strip() for line in f"{error.stdout}\n{error.stderr}".splitlines() if line.strip()]
        return next(reversed(lines), "it printed nothing")
    text = _one_line(error)
    pull = _PULL.search(text)
    return pull["reason"].removeprefix(f"{pull['address']}: ") if pull else text


def unpulled_image(error: dagger.DaggerError) -> str:
    """Return the image that the engine could not pull; empty where the error is another one."""
    pull = _PULL.search(_one_line(error))
    return pull["address"] if pull else ""


def _one_line(error: dagger.DaggerError) -> str:
    return " ".join(_TRACE.sub("", str(error)).split())


class _LoggedIn(Protocol):
    @property
    def auths(self) -> list[RegistryAuth]: ...


def explained[S: _LoggedIn, **P, R](
    function: Callable[Concatenate[S, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, R]]:
    """Decorate a function of the module: an error of the engine becomes a sentence, and no traceback is printed."""

    @functools.wraps(function)
    async def call(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await function(self, *args, **kwargs)
        except dagger.DaggerError as error:
            raise explain(error, [address_of(auth.address) for auth in self.auths]) from error

    return call
