"""Credentials from Docker's file, and the messages where they are missing."""

import base64
import json

import pytest

from pipeline.credentials.registry_auth import (
    DockerConfig,
    explain_missing,
    explain_rejected_pull,
    host_of,
    read_docker_config,
)
from pipeline.errors import Code
from tests.unit.refusals import refused

BASIC = base64.b64encode(b"me:pass:word").decode()


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("ghcr.io", "ghcr.io"),
        ("ghcr.io/maniaclab/small", "ghcr.io"),
        ("https://ghcr.io/", "ghcr.io"),
        ("localhost:5000/x", "localhost:5000"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("registry-1.docker.io", "docker.io"),
        ("docker.io/maniaclab", "docker.io"),
    ],
)
def test_hosts(address: str, host: str) -> None:
    """Docker Hub has one name, whatever a file or a person calls it."""
    assert host_of(address) == host


@pytest.mark.parametrize(
    ("entry", "pair"),
    [
        ({"auth": BASIC}, ("me", "pass:word")),
        ({"username": "me", "password": "word"}, ("me", "word")),
        ({"auth": BASIC, "identitytoken": "token"}, ("<token>", "token")),
    ],
)
def test_what_docker_login_wrote(entry: dict[str, str], pair: tuple[str, str]) -> None:
    """All three ways in which Docker writes a login down are read."""
    config = json.dumps({"auths": {"https://index.docker.io/v1/": entry, "ghcr.io": {}}})
    assert read_docker_config(config) == DockerConfig({"docker.io": pair}, {})


@pytest.mark.parametrize("text", ["", "[]", "{", '{"auths": {"ghcr.io": {"auth": "bm8gY29sb24="}}}', '{"auths": 1}'])
def test_another_file_is_refused(text: str) -> None:
    """The message has the file to name, and nothing of what may be a secret."""
    facts = ["--docker-config", "'docker login'", "file:$HOME/.docker/config.json"]
    with refused(Code.CREDENTIALS_INVALID, *facts) as raised:
        read_docker_config(text)
    assert "bm8g" not in raised.value.message
    assert raised.value.__cause__ is None


@pytest.mark.parametrize("more", [{"credsStore": "desktop"}, {"credHelpers": {"ghcr.io": "desktop"}}])
def test_a_helper_is_told(more: dict[str, object]) -> None:
    """Credentials in a program of the caller's machine cannot be used; the sentence names the option that can."""
    config = read_docker_config(json.dumps({"auths": {"ghcr.io": {}}, **more}))
    assert explain_missing("ghcr.io", config) == (
        "the file of --docker-config leaves the credentials of ghcr.io to the helper 'desktop', which cannot run in "
        "the engine; put 'with-registry-auth --address ghcr.io --username NAME --secret env:PASSWORD' before publish"
    )


def test_no_credentials_are_told() -> None:
    """The registry is named, and both ways of giving them."""
    assert explain_missing("ghcr.io", DockerConfig({}, {})) == (
        "there are no credentials for ghcr.io; put 'with-registry-auth --address ghcr.io --username NAME --secret "
        "env:PASSWORD' before publish, or give --docker-config"
    )


REFUSED_BY_GHCR = (
    "failed to resolve source metadata for ghcr.io/maniaclab/private:1: failed to authorize: failed to fetch anonymous "
    "token: unexpected status from GET request to https://ghcr.io/token: 401 Unauthorized"
)
REFUSED_BY_HUB = "docker.io/lab/private:1: pull access denied, repository does not exist or may require authorization"


@pytest.mark.parametrize(
    ("message", "address", "host"),
    [
        (REFUSED_BY_GHCR, None, "ghcr.io"),
        (REFUSED_BY_GHCR, "ghcr.io/maniaclab/private:1", "ghcr.io"),
        (REFUSED_BY_HUB, "lab/private:1", "docker.io"),
        ("pull access denied", None, "REGISTRY"),
    ],
)
def test_a_refused_pull_says_where_credentials_come_from(message: str, address: str | None, host: str) -> None:
    """The registry is the one of the image, or the one that the engine names."""
    given = str(explain_rejected_pull(message, address, []))
    assert f"put 'with-registry-auth --address {host} --username NAME --secret env:PASSWORD' before" in given
    assert str(explain_rejected_pull(message, address, [host])).startswith(f"{host} rejects its credentials")


def test_other_failures_to_pull_are_no_refusal() -> None:
    """Credentials do not help against them."""
    assert explain_rejected_pull("dial tcp: lookup ghcr.io: no such host", "ghcr.io/a/b", []) is None
