"""Credentials from Docker's file, and the messages where they are missing."""

import base64
import json
from dataclasses import dataclass
from typing import cast

import dagger
import pytest

from pipeline.credentials import registry_auth
from pipeline.credentials.registry_auth import (
    DockerConfig,
    Login,
    RegistryAuth,
    address_of,
    check_address,
    explain_missing,
    explain_rejected_pull,
    find_logins,
    host_of,
    login_for,
    read_docker_config,
    repository_of,
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


@pytest.mark.parametrize("address", ["", "https://", "a b", "/path", "-u me"])
def test_an_address_without_a_registry_is_refused(address: str) -> None:
    """Else its password would be for nobody, and the next step would ask for one."""
    with refused(Code.CREDENTIALS_INVALID, "--address", "ghcr.io"):
        check_address(address)


@pytest.mark.parametrize("address", ["ghcr.io", "https://index.docker.io/v1/", "localhost:5000/a/b"])
def test_an_address_of_a_registry_or_namespace_is_taken(address: str) -> None:
    """As it was given."""
    assert check_address(address) == address


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("hub.opensciencegrid.org/maniaclab", "hub.opensciencegrid.org/maniaclab"),
        ("https://Hub.OpenScienceGrid.org/maniaclab/", "hub.opensciencegrid.org/maniaclab"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("https://ghcr.io/v2/", "ghcr.io"),
        ("registry-1.docker.io/maniaclab", "docker.io/maniaclab"),
    ],
)
def test_addresses(name: str, address: str) -> None:
    """A namespace stays in an address; the version of the API does not."""
    assert address_of(name) == address


@pytest.mark.parametrize(
    ("image", "repository"),
    [
        ("ubuntu:22.04", "docker.io/library/ubuntu"),
        ("lab/private:1", "docker.io/lab/private"),
        ("index.docker.io/lab/private", "docker.io/lab/private"),
        ("localhost:5000/x:1", "localhost:5000/x"),
        ("localhost/x", "localhost/x"),
        ("ghcr.io/maniaclab/small:1@sha256:0123", "ghcr.io/maniaclab/small"),
    ],
)
def test_repositories(image: str, repository: str) -> None:
    """Docker's defaults are added; tag and digest are cut."""
    assert repository_of(image) == repository


LOGINS = {name: Login(name) for name in ("hub.org", "hub.org/maniaclab", "hub.org/maniaclab/big", "ghcr.io/maniaclab")}


@pytest.mark.parametrize(
    ("image", "username"),
    [
        ("hub.org/usatlas/small:1", "hub.org"),
        ("hub.org/maniaclab/small", "hub.org/maniaclab"),
        ("hub.org/maniaclab/big:1", "hub.org/maniaclab/big"),
        ("hub.org/maniaclab-old/small", "hub.org"),
        ("ghcr.io/maniaclab/small@sha256:0123", "ghcr.io/maniaclab"),
        ("ghcr.io/usatlas/small", ""),
    ],
)
def test_the_longest_address_that_fits_gives_the_login(image: str, username: str) -> None:
    """As containers-auth.json(5) has it: whole names of the path, and nothing for a namespace without a login."""
    assert login_for(image, LOGINS) == Login(username)


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


def test_oauth_tokens_of_docker_are_no_passwords() -> None:
    """A login in the browser leaves three entries for Docker Hub, in any order; only the first one is a login."""
    key = "https://index.docker.io/v1/"
    entries = {
        key: {"auth": base64.b64encode(b"me:personal").decode()},
        f"{key}access-token": {"auth": base64.b64encode(b"me:header.claims.signature").decode()},
        f"{key}refresh-token": {"auth": base64.b64encode(b"me:v1.refresh..client").decode()},
    }
    for order in (entries, dict(reversed(entries.items()))):
        assert read_docker_config(json.dumps({"auths": order})).logins == {"docker.io": ("me", "personal")}
    del entries[key]
    assert not read_docker_config(json.dumps({"auths": entries})).logins


def test_docker_hub_by_the_key_that_docker_reads() -> None:
    """Another name of Docker Hub counts where Docker's own key is not there."""
    ours, other = ({"username": "me", "password": word} for word in ("right", "other"))
    for auths in ({"https://index.docker.io/v1/": ours, "docker.io": other}, {"docker.io": ours}):
        assert read_docker_config(json.dumps({"auths": auths})).logins == {"docker.io": ("me", "right")}


@dataclass
class Secret:
    """Stands for a secret of the engine."""

    value: str

    async def plaintext(self) -> str:
        return self.value


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets are made without an engine."""

    class Dag:
        def set_secret(self, _name: str, plaintext: str) -> Secret:
            return Secret(plaintext)

    monkeypatch.setattr(registry_auth, "dag", Dag())


def auth(address: str) -> RegistryAuth:
    """Credentials as `with-registry-auth` takes them: the address is the name."""
    return RegistryAuth(address=address, username=address, secret=cast("dagger.Secret", Secret(address)))  # type: ignore[call-arg]  # mypy does not know Dagger's fields


CONFIG = cast(
    "dagger.Secret",
    Secret(
        json.dumps(
            {
                "auths": {
                    name: {"auth": base64.b64encode(f"file:{name}".encode()).decode()}
                    for name in ("hub.org", "hub.org/usatlas", "hub.org/maniaclab", "ghcr.io/usatlas")
                }
            }
        )
    ),
)


@pytest.mark.asyncio
@pytest.mark.usefixtures("no_engine")
async def test_two_robots_of_a_registry() -> None:
    """Each repository has the login of its namespace, in whatever order they are given."""
    names = ("hub.org/maniaclab", "hub.org/usatlas")
    for given in (names, names[::-1]):
        found = await find_logins([f"{name}/small" for name in names], [auth(name) for name in given], None)
        assert [found[f"{name}/small"].username for name in names] == list(names)


@pytest.mark.asyncio
@pytest.mark.usefixtures("no_engine")
async def test_arguments_take_precedence_over_the_file() -> None:
    """A login from an argument covers its whole registry; namespaces of the file count elsewhere."""
    names = ["hub.org/maniaclab/small", "hub.org/usatlas/small", "ghcr.io/usatlas/small"]
    found = await find_logins(names, [auth("hub.org")], CONFIG)
    assert [found[name].username for name in names] == ["hub.org", "hub.org", "file"]
    found = await find_logins(names, [auth("hub.org/maniaclab")], CONFIG)
    secret = cast("Secret", found["hub.org/usatlas/small"].secret)
    assert secret.value == "hub.org/usatlas"
    assert found["hub.org/maniaclab/small"].username == "hub.org/maniaclab"


@pytest.mark.asyncio
@pytest.mark.usefixtures("no_engine")
async def test_a_namespace_without_a_login_is_named() -> None:
    """The robot of another namespace is never sent."""
    with refused(
        Code.CREDENTIALS_MISSING,
        "there are no credentials for hub.org/usatlas; put 'with-registry-auth --address hub.org/usatlas ",
    ):
        await find_logins(["hub.org/usatlas/small", "hub.org/usatlas/big"], [auth("hub.org/maniaclab")], None)


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
    assert explain_missing("ghcr.io/maniaclab/small", config) == (
        "the file of --docker-config leaves the credentials of ghcr.io to the helper 'desktop', which cannot run in "
        "the engine; put 'with-registry-auth --address ghcr.io --username NAME --secret env:PASSWORD' before publish"
    )


def test_no_credentials_are_told() -> None:
    """The registry is named, and both ways of giving them."""
    assert explain_missing("ghcr.io/maniaclab/small", DockerConfig({}, {})) == (
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
    ],
)
def test_a_refused_pull_says_where_credentials_come_from(message: str, address: str | None, host: str) -> None:
    """The registry is the one of the image, or the one that the engine names."""
    given = str(explain_rejected_pull(message, address, []))
    assert f"put 'with-registry-auth --address {host} --username NAME --secret env:PASSWORD' before" in given
    assert str(explain_rejected_pull(message, address, [host])).startswith(f"{host} rejects its credentials")


def test_a_refused_pull_of_an_unnamed_image() -> None:
    """The sentence has a word for the registry, whatever has credentials."""
    assert "--address REGISTRY --username" in str(explain_rejected_pull("pull access denied", None, ["ghcr.io"]))


def test_a_rejected_login_is_named_by_its_namespace() -> None:
    """The login of another namespace was not sent, and is not blamed."""
    text = REFUSED_BY_GHCR
    given = str(explain_rejected_pull(text, None, ["ghcr.io", "ghcr.io/maniaclab"]))
    assert given.endswith("check what was given for ghcr.io/maniaclab")
    assert "wants credentials for it" in str(explain_rejected_pull(text, None, ["ghcr.io/usatlas"]))


def test_other_failures_to_pull_are_no_refusal() -> None:
    """Credentials do not help against them."""
    assert explain_rejected_pull("dial tcp: lookup ghcr.io: no such host", "ghcr.io/a/b", []) is None
