"""Secrets for `RUN --mount=type=secret` in Dockerfiles: arguments of `with-build-secret`, and ids of mounts."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Final

import dagger
from dagger import field, object_type

from pipeline.errors import Code, PipelineError

#: Form of the arguments, for messages.
GIVE: Final = "with-build-secret --id {id} --secret env:NAME"
#: The engine's limit for a secret, in bytes.
LIMIT: Final = 128_000
_COMMENT: Final = re.compile(r"^\s*#.*$", re.MULTILINE)
#: A mount of a step: its options, which commas divide.
_MOUNT: Final = re.compile(r"--mount=(\S+)")


@object_type
class BuildSecret:
    """A secret for the steps of Dockerfiles that mount it."""

    name: str = field()
    """Its id in the Dockerfile."""

    secret: dagger.Secret = field()


def check_id(name: str, known: Collection[str]) -> str:
    """Check an id of `with-build-secret`, and return it.

    Raises:
        PipelineError: the id is empty, or has a value already.
    """
    if not name.strip():
        raise PipelineError(
            Code.CREDENTIALS_INVALID,
            f"with-build-secret: --id is empty; write it as the Dockerfile does: {GIVE.format(id='token')}",
        )
    if name in known:
        raise PipelineError(
            Code.CREDENTIALS_INVALID, f"with-build-secret: {name} has a value already; give one of both"
        )
    return name


async def read_secrets(secrets: Sequence[BuildSecret]) -> dict[str, str]:
    """Return the values of secrets by id: a Dockerfile finds them by name, which a secret of the CLI does not have.

    Raises:
        PipelineError: a value cannot be read, is empty, too long or not text; the message does not contain it.
    """
    return {given.name: await _read(given) for given in secrets}


async def _read(given: BuildSecret) -> str:
    try:
        value = await given.secret.plaintext()
    except dagger.QueryError as error:
        raise PipelineError(
            Code.CREDENTIALS_INVALID,
            f"with-build-secret: the value of {given.name} cannot be read: {error}; check where it comes from",
        ) from error
    size = len(value.encode())
    problem = (
        "is empty; check where it comes from"
        if not value.strip()
        else f"has {size} bytes, and the engine takes {LIMIT}; give a shorter one"
        if size > LIMIT
        else "is not text in UTF-8; give it in base64, and decode it in the step"
        if "\N{REPLACEMENT CHARACTER}" in value
        else ""
    )
    if problem:
        raise PipelineError(Code.CREDENTIALS_INVALID, f"with-build-secret: the value of {given.name} {problem}")
    return value


def mounted_ids(dockerfile: str) -> frozenset[str]:
    """Return the ids of the secrets that steps of a Dockerfile mount; one may have variables (`$NAME`)."""
    return frozenset(
        name
        for mount in _MOUNT.findall(_COMMENT.sub("", dockerfile))
        if (name := _id(dict(_option(text) for text in re.sub(r"[\"']", "", mount).split(","))))
    )


def _option(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    return key.lower(), value


def _id(options: Mapping[str, str]) -> str:
    """Return the id of a mounted secret by Docker's defaults; empty for another mount."""
    if options.get("type", "").lower() != "secret":
        return ""
    target = next((options[key] for key in ("target", "dst", "destination") if key in options), "")
    return options.get("source") or options.get("src") or options.get("id") or target.rpartition("/")[2]


def choose_secrets(values: Mapping[str, str], ids: Collection[str]) -> dict[str, str]:
    """Return the secrets that a Dockerfile mounts; all of them where one of its ids has a variable."""
    open_ended = any("$" in name for name in ids)
    return {name: value for name, value in values.items() if open_ended or name in ids}


def require_mounted(names: Collection[str], dockerfiles: Mapping[str, str]) -> None:
    """Reject secrets that no Dockerfile mounts, such as one with a wrong id.

    Args:
        names: ids of the secrets that were given.
        dockerfiles: texts of the checkout's Dockerfiles by their names in messages.

    Raises:
        PipelineError: there are such secrets; the message lists the ids that are mounted.
    """
    mounted = {name: mounted_ids(text) for name, text in dockerfiles.items()}
    every = frozenset[str]().union(*mounted.values())
    unwanted = [name for name in names if not choose_secrets({name: ""}, every)]
    if unwanted:
        there = [f"'{name}' in {file}" for file, ids in mounted.items() for name in sorted(ids)]
        raise PipelineError(
            Code.OPTION_CONFLICT,
            f"with-build-secret: no Dockerfile mounts {_list(unwanted)}; leave it out, or name one of those that are "
            f"mounted: {', '.join(there) or 'there is none'}",
        )


def explain_missing(error: str) -> str | None:
    """Return the sentence for a secret that a Dockerfile requires, from the engine's error; None for another error."""
    if not (match := re.search(r"secret not found: ([^\s\"\]]+)", error)):
        return None
    return f"it requires the secret '{match[1]}'; put '{GIVE.format(id=match[1])}' before the function"


def describe_missing(missing: Collection[str]) -> str:
    """Return the sentence about secrets that a Dockerfile mounts, but does not require; empty if there are none."""
    names = sorted(name for name in missing if "$" not in name)
    if not names:
        return ""
    return (
        f"its steps run without these secrets, which were not given: {_list(names)}; "
        f"'{GIVE.format(id=names[0])}' before the function gives one"
    )


def _list(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
