"""The names that the sandbox plays."""

import pytest

from tests.sandbox import machine
from tests.sandbox.errors import SandboxError
from tests.sandbox.hosts import HOSTS, REGISTRIES, hosts_file, parse_reference, registry


@pytest.mark.parametrize(
    ("reference", "parsed"),
    [
        ("python:3.14-slim", ("registry-1.docker.io", "library/python", "3.14-slim")),
        ("docker.io/library/python:3.14-slim", ("registry-1.docker.io", "library/python", "3.14-slim")),
        ("docker.io/python", ("registry-1.docker.io", "library/python", "latest")),
        ("maniaclab/platform:1", ("registry-1.docker.io", "maniaclab/platform", "1")),
        ("ghcr.io/prefix-dev/pixi:noble", ("ghcr.io", "prefix-dev/pixi", "noble")),
        ("localhost:5000/x:1", ("localhost:5000", "x", "1")),
    ],
)
def test_references_have_dockers_defaults(reference: str, parsed: tuple[str, str, str]) -> None:
    """A reference names a registry, a repository and a tag, even where it does not say so."""
    assert parse_reference(reference) == parsed


def test_each_name_has_an_address_of_its_own() -> None:
    """All on port 443, so none may share."""
    assert len({host.address for host in HOSTS}) == len(HOSTS)
    assert all(f"{host.address} {host.name}\n" in hosts_file() for host in HOSTS)


def test_a_listener_is_written_as_the_kernel_does() -> None:
    """The kernel's table has addresses in reverse order of bytes, in hexadecimal."""
    assert machine.listener("198.18.0.1", 443) == ("010012C6:01BB", "0A")


def test_registries_are_found_by_their_names() -> None:
    """The channel is none; a name that is none is refused with those that are."""
    assert [registry(host.name) for host in REGISTRIES] == list(REGISTRIES)
    with pytest.raises(SandboxError, match=r"no registry conda\.anaconda\.org .*there are ghcr\.io, "):
        registry("conda.anaconda.org")


def test_no_two_servers_share_a_port() -> None:
    """On the machine's own address stand the registries, and their web servers once more for proxies."""
    ports = [port for host in REGISTRIES for port in (host.storage_port, host.direct_port)]
    assert len(set(ports)) == len(ports)
