"""Credentials of channels: what is taken, and the files that pixi and rattler read."""

import json
import netrc as python_netrc
from pathlib import Path

import pytest

from pipeline.credentials.channel_auth import (
    check_arguments,
    check_secret,
    explain_refusal,
    netrc,
    rattler_file,
    without_secrets,
)
from pipeline.errors import Code
from tests.unit.refusals import refused

HOST = "conda.example.org"
LOGINS = {HOST: ("me", "pass word"), "other.example.org": ("", "tok"), "conda.anaconda.org": ("", "path-token")}


def test_a_token_or_a_user_is_taken() -> None:
    """A token has no user name; hosts are in lower case."""
    assert check_arguments("Conda.example.org", None, token=True, secret=False) == (HOST, "")
    assert check_arguments(HOST, "me", token=False, secret=True) == (HOST, "me")


@pytest.mark.parametrize(
    ("host", "username", "given", "facts"),
    [
        (HOST, "me", "token secret", ["a token and a user name", f"'with-channel-auth --host {HOST}"]),
        (HOST, None, "token secret", ["a token and a user name", f"'with-channel-auth --host {HOST}"]),
        (HOST, None, "", ["neither a token", f"'with-channel-auth --host {HOST}"]),
        (HOST, "me", "", ["me", HOST, "no password", "--secret env:PASSWORD"]),
        (HOST, None, "secret", [HOST, "no user name", "--username NAME"]),
        (HOST, "", "secret", [HOST, "no user name", "--username NAME"]),
        (f"https://{HOST}/mine", None, "token", ["scheme, port and path", f"write --host {HOST}"]),
        (f"{HOST}/mine", None, "token", [f"write --host {HOST}"]),
        (f"{HOST}:8443", None, "token", [f"write --host {HOST}"]),
        (f"https://me:hidden@{HOST}", None, "token", [f"write --host {HOST}"]),
        ("", None, "token", ["as in --host conda.example.org"]),
        ("two words", None, "token", ["as in --host conda.example.org"]),
        ("known.example.org", None, "token", ["known.example.org", "already"]),
    ],
)
def test_invalid_credentials_are_refused(host: str, username: str | None, given: str, facts: list[str]) -> None:
    """The message has the option to write, and no secret."""
    with refused(Code.CREDENTIALS_INVALID, "with-channel-auth", *facts) as raised:
        check_arguments(host, username, token="token" in given, secret="secret" in given, known=["known.example.org"])
    assert "hidden" not in raised.value.message


def test_a_secret_from_a_file_has_no_end_of_line() -> None:
    """Editors write one."""
    assert check_secret(HOST, "pass word\n") == "pass word"


@pytest.mark.parametrize(("value", "fact"), [("\n", "empty"), ("hid\nden", "not one line")])
def test_a_secret_that_cannot_be_one_is_refused(value: str, fact: str) -> None:
    """The message has its host, but does not repeat it."""
    with refused(Code.CREDENTIALS_INVALID, HOST, fact) as raised:
        check_secret(HOST, value)
    assert "hid" not in raised.value.message


def test_the_file_that_rattler_reads() -> None:
    """A password, a token, and one of anaconda.org, which is part of the address there."""
    assert json.loads(rattler_file(LOGINS)) == {
        HOST: {"BasicHTTP": {"username": "me", "password": "pass word"}},
        "other.example.org": {"BearerToken": "tok"},
        "conda.anaconda.org": {"CondaToken": "path-token"},
    }


def test_the_file_that_python_tools_read(tmp_path: Path) -> None:
    """A token has the user name that indexes know; what would need quotes is left out."""
    file = tmp_path / "netrc"
    file.write_text(netrc(LOGINS | {"third.example.org": ("me", "p#$%&()!~^")}))
    hosts = python_netrc.netrc(file).hosts
    assert hosts == {
        "other.example.org": ("__token__", "", "tok"),
        "conda.anaconda.org": ("__token__", "", "path-token"),
    }


@pytest.mark.parametrize("code", ["401 Unauthorized", "403 Forbidden"])
def test_a_refusal_says_where_credentials_come_from(code: str) -> None:
    """With none they are to be given; with some they are wrong, or have no right."""
    text = f"HTTP status client error ({code}) for url (https://{HOST}/mine/noarch/repodata.json)"
    assert f"put 'with-channel-auth --host {HOST} (--token" in str(explain_refusal(text, []))
    assert f"{HOST} rejects what 'with-channel-auth --host {HOST} …' gave" in str(explain_refusal(text, [HOST]))


def test_other_failures_are_no_refusal() -> None:
    """A number in a name says nothing."""
    assert explain_refusal("404 Not Found for url (https://conda.example.org/401-1.conda)", []) is None


def test_messages_have_no_secrets() -> None:
    """Neither those that were given, nor a token within an address."""
    message = without_secrets("pass word: https://conda.anaconda.org/t/path-token/mine", ["pass word"])
    assert message == "***: https://conda.anaconda.org/t/***/mine"
