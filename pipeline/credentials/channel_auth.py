"""Channels and package indexes that ask who one is: the arguments of `with-channel-auth`, and the files for pixi."""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Final

import dagger
from dagger import field, object_type

from pipeline.errors import Code, PipelineError

#: A host without scheme, port and path: pixi looks its credentials up by that alone.
_HOST: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
#: How the arguments are given, for messages.
GIVE: Final = "with-channel-auth --host {host} (--token env:TOKEN | --username NAME --secret env:PASSWORD)"
#: The user name by which indexes of Python packages are told that the password is a token.
TOKEN_USER: Final = "__token__"  # noqa: S105  # a name, not a token
#: What a server says that wants to know who asks, or that does not let this one in.
_REFUSAL: Final = re.compile(r"\b(401\s+Unauthorized|403\s+Forbidden)\b", re.IGNORECASE)
_URL_HOST: Final = re.compile(r"https?://(?:[^/\s@]*@)?([a-z0-9._-]+)", re.IGNORECASE)
#: A token of anaconda.org, which is part of the address that is asked.
_IN_PATH: Final = re.compile(r"/t/[^/\s)]+/")


@object_type
class ChannelAuth:
    """Who reads the channels of a host: a user name with a password, or no name and a token."""

    host: str = field()
    username: str = field()
    secret: dagger.Secret = field()


def check_arguments(
    host: str, username: str | None, *, token: bool, secret: bool, known: Collection[str] = ()
) -> tuple[str, str]:
    """The host and user name that `with-channel-auth` was given, the name empty for a token.

    Args:
        host: as it was given.
        username: as it was given.
        token: whether a token was given.
        secret: whether a password was given.
        known: hosts that have credentials already.

    Raises:
        PipelineError: these are no credentials of a host.
    """
    name = host.strip().lower()
    if not _HOST.fullmatch(name):
        bare = re.sub(r"^[a-z][a-z0-9+.-]*://", "", name).partition("/")[0].rpartition("@")[2].partition(":")[0]
        meant = f"write --host {bare}" if _HOST.fullmatch(bare) else "write it as in --host conda.example.org"
        raise PipelineError(
            Code.CREDENTIALS_INVALID, f"with-channel-auth: --host is a name without scheme, port and path; {meant}"
        )
    give = f"give '{GIVE.format(host=name)}'"
    if name in known:
        raise PipelineError(
            Code.CREDENTIALS_INVALID, f"with-channel-auth: {name} has credentials already; give one of both"
        )
    if token and (username is not None or secret):
        raise PipelineError(
            Code.CREDENTIALS_INVALID, f"with-channel-auth: {name} has a token and a user name or password; {give}"
        )
    if not token and username is None and not secret:
        raise PipelineError(
            Code.CREDENTIALS_INVALID, f"with-channel-auth: {name} has neither a token nor a user name; {give}"
        )
    if not token and not secret:
        raise PipelineError(
            Code.CREDENTIALS_INVALID,
            f"with-channel-auth: {username} of {name} has no password; add --secret env:PASSWORD",
        )
    if not token and not username:
        raise PipelineError(
            Code.CREDENTIALS_INVALID,
            f"with-channel-auth: the password for {name} has no user name; add --username NAME",
        )
    return name, username or ""


def check_secret(host: str, value: str) -> str:
    """A token or password without the end of line that files have.

    Raises:
        PipelineError: it is empty, or more than one line. It is not repeated.
    """
    secret = value.rstrip("\r\n")
    if not secret:
        raise PipelineError(
            Code.CREDENTIALS_INVALID, f"with-channel-auth: the secret for {host} is empty; check where it comes from"
        )
    if not secret.isprintable():
        raise PipelineError(
            Code.CREDENTIALS_INVALID, f"with-channel-auth: the secret for {host} is not one line; give the secret alone"
        )
    return secret


def rattler_file(logins: Mapping[str, tuple[str, str]]) -> str:
    """The file that RATTLER_AUTH_FILE names, which pixi and py-rattler read.

    Args:
        logins: user name and password by host; the name is empty where the password is a token.
    """
    entries: dict[str, object] = {}
    for host, (username, secret) in logins.items():
        if username:
            entries[host] = {"BasicHTTP": {"username": username, "password": secret}}
        else:
            entries[host] = {"CondaToken" if _has_tokens_in_paths(host) else "BearerToken": secret}
    return json.dumps(entries)


def netrc(logins: Mapping[str, tuple[str, str]]) -> str:
    """The same as a netrc, which pixi's PyPI half reads where it does not read the other file.

    What cannot be written there without quotes, which not every reader knows, is left out.
    """
    lines = [
        f"machine {host}\nlogin {username or TOKEN_USER}\npassword {secret}\n"
        for host, (username, secret) in logins.items()
        if _is_plain(username) and _is_plain(secret)
    ]
    return "".join(lines)


def explain_refusal(text: str, known: Collection[str]) -> str | None:
    """The remedy where a channel or an index did not let somebody in; None where nothing of that is said.

    Args:
        text: why something failed.
        known: the hosts that credentials were given for.
    """
    refusal = _REFUSAL.search(text)
    if refusal is None:
        return None
    after, before = _URL_HOST.findall(text, refusal.end()), _URL_HOST.findall(text, 0, refusal.start())
    host = (after[0] if after else before[-1] if before else "HOST").lower()
    if host in known:
        return (
            f"{host} rejects what 'with-channel-auth --host {host} …' gave, or it lacks the right to read this: check "
            "the user name, the secret and what they may read"
        )
    return f"{host} wants credentials: put '{GIVE.format(host=host)}' before the function"


def without_secrets(text: str, secrets: Iterable[str] = ()) -> str:
    """A message without secrets, and without the part of an address where tokens of anaconda.org stand."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return _IN_PATH.sub("/t/***/", text)


def _has_tokens_in_paths(host: str) -> bool:
    return host == "anaconda.org" or host.endswith(".anaconda.org")


def _is_plain(word: str) -> bool:
    return re.fullmatch(r"[!$-&(-\[\]-~]*", word) is not None
