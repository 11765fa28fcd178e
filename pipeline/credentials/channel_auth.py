"""Credentials of private channels and package indexes: arguments of `with-channel-auth`, and files for pixi."""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Final

import dagger
from dagger import field, object_type

from pipeline.errors import Code, PipelineError

#: A host without scheme, port and path: pixi looks up credentials by it.
_HOST: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
#: Form of the arguments, for messages.
GIVE: Final = "with-channel-auth --host {host} (--token env:TOKEN | --username NAME --secret env:PASSWORD)"
#: User name that marks the password as a token for indexes of Python packages.
TOKEN_USER: Final = "__token__"  # noqa: S105  # a name, not a token
#: Status with which a server requires or rejects credentials.
_REFUSAL: Final = re.compile(r"\b(401\s+Unauthorized|403\s+Forbidden)\b", re.IGNORECASE)
_URL_HOST: Final = re.compile(r"https?://(?:[^/\s@]*@)?([a-z0-9._-]+)", re.IGNORECASE)
#: A token of anaconda.org, which is part of the URL.
_IN_PATH: Final = re.compile(r"/t/[^/\s)]+/")


@object_type
class ChannelAuth:
    """Credentials for the channels of a host: a user name with a password, or a token without a name."""

    host: str = field()
    username: str = field()
    secret: dagger.Secret = field()


def check_arguments(
    host: str, username: str | None, *, token: bool, secret: bool, known: Collection[str] = ()
) -> tuple[str, str]:
    """Check the arguments of `with-channel-auth`, and return host and user name; the name is empty for a token.

    Args:
        host: value of the option.
        username: value of the option.
        token: whether the option is there.
        secret: whether the option is there.
        known: hosts that already have credentials.

    Raises:
        PipelineError: the arguments are invalid or contradict each other.
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
    """Return a token or password without the newline at the end of a file.

    Raises:
        PipelineError: the secret is empty or has several lines; the message does not contain it.
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
    """Return the content of a credentials file for pixi and py-rattler, which find it by RATTLER_AUTH_FILE.

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
    """Return the same credentials as a netrc file, which pixi reads for PyPI indexes.

    Credentials that need quotes there are left out, because some readers do not support quotes.
    """
    lines = [
        f"machine {host}\nlogin {username or TOKEN_USER}\npassword {secret}\n"
        for host, (username, secret) in logins.items()
        if _is_plain(username) and _is_plain(secret)
    ]
    return "".join(lines)


def explain_refusal(text: str, known: Collection[str]) -> str | None:
    """Return the remedy if a text reports that a channel or index rejected the credentials; None if it does not.

    Args:
        text: the error of the failed step.
        known: hosts with credentials.
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
    """Replace secrets, and tokens of anaconda.org in URLs, with asterisks."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return _IN_PATH.sub("/t/***/", text)


def _has_tokens_in_paths(host: str) -> bool:
    return host == "anaconda.org" or host.endswith(".anaconda.org")


def _is_plain(word: str) -> bool:
    return re.fullmatch(r"[!$-&(-\[\]-~]*", word) is not None
