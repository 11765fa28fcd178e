"""Logins: the engine gets the one of an image, this process passes them to rattler, and nothing prints them."""

import json
import tomllib
from pathlib import Path
from typing import Self, cast

import dagger
import pytest

from pipeline.credentials import logins
from pipeline.credentials.logins import Logins
from pipeline.credentials.registry_auth import Login

LOGINS = Logins(channels={"conda.example.org": ("me", "hidden"), "other.example.org": ("", "hidden-token")})


def test_rattler_reads_it_from_memory() -> None:
    """The configuration names a file that is on no disk."""
    configuration = tomllib.loads(f'tls-root-certs = "system"{LOGINS.rattler_config()}')
    file = Path(configuration["authentication-override-file"])
    assert file.is_relative_to("/proc/self/fd")
    assert json.loads(file.read_text())["other.example.org"] == {"BearerToken": "hidden-token"}


def test_nothing_is_configured_where_nobody_logs_in() -> None:
    """rattler's configuration stays what it is."""
    assert not Logins().rattler_config()


def test_it_is_not_repeated() -> None:
    """Neither in a message nor where Python shows it; the longer of two secrets goes whole."""
    assert LOGINS.hide("me:hidden asked, hidden-token too") == "me:*** asked, *** too"
    assert "hidden" not in repr(LOGINS)


def test_build_secrets_are_not_repeated() -> None:
    """A secret of several lines goes line by line, and its short ones do not blank a message."""
    secrets = Logins(build_secrets={"token": "hidden\n", "key": "{\n  hidden-key\n}\n"})
    assert secrets.hide("{hidden} and hidden-key}") == "{***} and ***}"
    assert "hidden" not in repr(secrets)


class Engine:
    """Stands for the engine, which has one login for a registry: the last one that it got."""

    def __init__(self) -> None:
        self.current: dict[str, str] = {}
        self.read: list[tuple[str, str]] = []
        """The tags that were read, and the user names with which they were."""
        self._given = ("", "")
        self._image = ""

    def container(self) -> Self:
        return self

    def with_env_variable(self, _name: str, _value: str) -> Self:
        return self

    def with_registry_auth(self, host: str, username: str, _secret: object) -> Self:
        self._given = (host, username)
        return self

    def without_registry_auth(self, host: str) -> Self:
        self._given = (host, "")
        return self

    async def env_variable(self, _name: str) -> None:
        host, username = self._given
        self.current[host] = username

    def from_(self, image: str) -> Self:
        self._image = image
        return self

    async def image_ref(self) -> str:
        self.read.append((self._image, self.current.get(self._image.partition("/")[0], "")))
        return self._image


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    """The engine of these tests."""
    made = Engine()
    monkeypatch.setattr(logins, "dag", made)
    return made


def known(*addresses: str) -> Logins:
    """Logins to registries, each with its address as user name."""
    return Logins(registries={name: Login(name, cast("dagger.Secret", object())) for name in addresses})


@pytest.mark.asyncio
async def test_the_engine_reads_each_repository_with_its_own_login(engine: Engine) -> None:
    """Two robots of a registry do not get into each other's way, and other images are read with its own login."""
    robots = known("hub.org/maniaclab", "hub.org/usatlas", "hub.org")
    await robots.prepare(["hub.org/maniaclab/a:1@sha256:01", "hub.org/usatlas/b", "hub.org/other/c:2"])
    assert engine.read == [
        ("hub.org/maniaclab/a:1", "hub.org/maniaclab"),
        ("hub.org/usatlas/b:latest", "hub.org/usatlas"),
        ("hub.org/other/c:2", "hub.org"),
    ]
    assert engine.current == {"hub.org": "hub.org"}


@pytest.mark.asyncio
async def test_no_login_of_another_namespace_is_sent(engine: Engine) -> None:
    """An image that no address fits is read without a login."""
    await known("hub.org/maniaclab").prepare(["hub.org/usatlas/b:1"])
    assert engine.read == [("hub.org/usatlas/b:1", "")]


@pytest.mark.asyncio
async def test_one_login_for_a_registry_needs_no_preparation(engine: Engine) -> None:
    """The usual call costs no request."""
    await known("ghcr.io", "docker.io/maniaclab").prepare(["ghcr.io/prefix-dev/pixi:noble", "localhost:5000/x"])
    assert not engine.read
