"""The names that the sandbox plays."""

import pytest

from tests.sandbox import machine
from tests.sandbox.hosts import HOSTS, hosts_file, parse_reference


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
