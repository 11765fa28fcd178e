"""Configuration files of the services."""

import os
import ssl
from pathlib import Path

import pytest

from tests.sandbox import certificates, configuration, credentials
from tests.sandbox.hosts import ASKING, HOSTS, PRIVATE
from tests.sandbox.state import State


@pytest.fixture
def state(tmp_path: Path) -> State:
    state = State(tmp_path / "s")
    state.create()
    return state


def test_each_name_has_its_own_web_server(state: State) -> None:
    """Each listens on its own address, with its own certificate, and those that ask for a password have their own."""
    configuration.write(state)
    for host in HOSTS:
        text = (state.config / f"{host.name}.conf").read_text()
        assert f"listen {host.address}:443 ssl;" in text
        assert f"ssl_certificate {state.secrets}/{host.name}.crt;" in text
        assert ("auth_basic_user_file" in text) == host.asks
        assert ("Bearer" in text) == (host == PRIVATE)
        assert (f"listen 127.0.0.1:{host.direct_port} ssl;" in text) == host.is_registry
        assert text.count("{") == text.count("}")


def test_passwords_are_private_and_stay(state: State) -> None:
    """They are made once, differ, and only their owner may read a file that holds one."""
    configuration.write(state)
    first = credentials.ensure(state.secrets)
    configuration.write(state)
    assert credentials.ensure(state.secrets) == first
    assert len({pair.password for pair in first.values()}) == len(ASKING)
    holding = [file for file in state.folder.rglob("*") if file.is_file() and _holds_password(file, first)]
    assert holding
    assert all(file.stat().st_mode & 0o077 == 0 for file in holding)


def _holds_password(file: Path, found: dict[str, credentials.Credentials]) -> bool:
    text = file.read_text()
    return any(pair.password in text or pair.basic in text for pair in found.values())


def test_damaged_passwords_are_made_anew(state: State) -> None:
    """A file that a crash left half-written does not stop the sandbox."""
    (state.secrets / "credentials.json").write_text('{"ghcr.io"')
    assert set(credentials.ensure(state.secrets)) == {host.name for host in ASKING}


def test_certificates_are_made_once(state: State) -> None:
    """Containers that were built with the authority go on trusting it."""
    authority = certificates.ensure(state.secrets)
    before = authority.read_bytes()
    assert certificates.ensure(state.secrets).read_bytes() == before
    assert (state.secrets / "ghcr.io.key").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("name", ["authority.pem", "ghcr.io.crt", "ghcr.io.key"])
@pytest.mark.parametrize("size", [0, 300])
def test_damaged_certificates_are_made_anew(state: State, name: str, size: int) -> None:
    """Files that a crash left half-written do not stop the web servers."""
    certificates.ensure(state.secrets)
    os.truncate(state.secrets / name, size)
    authority = certificates.ensure(state.secrets)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority)
    for host in HOSTS:
        context.load_cert_chain(state.secrets / f"{host.name}.crt", state.secrets / f"{host.name}.key")
