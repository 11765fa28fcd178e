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
from pipeline.errors import PipelineError

HOST = "conda.example.org"
LOGINS = {HOST: ("me", "pass word"), "other.example.org": ("", "tok"), "conda.anaconda.org": ("", "path-token")}


def test_a_token_or_a_user_is_taken() -> None:
    """A token has no user name; hosts are in lower case."""
    assert check_arguments("Conda.example.org", None, token=True, secret=False) == (HOST, "")
    assert check_arguments(HOST, "me", token=False, secret=True) == (HOST, "me")


@pytest.mark.parametrize(
    ("host", "username", "given", "said"),
    [
        (HOST, "me", "token secret", "has a token and a user name or password; give 'with-channel-auth --host"),
        (HOST, None, "token secret", "has a token and a user name or password"),
        (HOST, None, "", "has neither a token nor a user name"),
        (HOST, "me", "", "has no password; add --secret env:PASSWORD"),
        (HOST, None, "secret", "has no user name; add --username NAME"),
        (HOST, "", "secret", "has no user name; add --username NAME"),
        (f"https://{HOST}/mine", None, "token", f"without scheme, port and path; write --host {HOST}"),
        (f"{HOST}/mine", None, "token", f"write --host {HOST}"),
        (f"{HOST}:8443", None, "token", f"write --host {HOST}"),
        ("https://me:hidden@conda.example.org", None, "token", f"write --host {HOST}"),
        ("", None, "token", "write it as in --host conda.example.org"),
        ("two words", None, "token", "write it as in --host conda.example.org"),
        ("known.example.org", None, "token", "known.example.org has credentials already; give one of both"),
    ],
)
def test_what_are_no_credentials_is_refused(host: str, username: str | None, given: str, said: str) -> None:
    """In one sentence, which says what to write."""
    with pytest.raises(PipelineError) as caught:
        check_arguments(host, username, token="token" in given, secret="secret" in given, known=["known.example.org"])
    assert said in caught.value.message
    assert "hidden" not in caught.value.message


def test_a_secret_from_a_file_has_no_end_of_line() -> None:
    """Editors write one."""
    assert check_secret(HOST, "pass word\n") == "pass word"


@pytest.mark.parametrize(("value", "said"), [("\n", "is empty"), ("hid\nden", "is not one line")])
def test_a_secret_that_cannot_be_one_is_refused(value: str, said: str) -> None:
    """It is not repeated."""
    with pytest.raises(PipelineError, match=said) as caught:
        check_secret(HOST, value)
    assert "hid" not in caught.value.message


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
    said = without_secrets("pass word: https://conda.anaconda.org/t/path-token/mine", ["pass word"])
    assert said == "***: https://conda.anaconda.org/t/***/mine"
