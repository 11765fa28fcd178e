"""Fixtures for tests of real clients: one login node, and images that are published for it and pulled there.

All of it stands as long as tests of this folder run, which one process does.
"""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.site import Site
from tests.engine.conftest import ROOT, Checkout, share_sandbox
from tests.engine.publishing import DOCKERFILE, open_shop
from tests.sandbox import clients


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what stands in this folder: it needs the engine."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.engine)


@pytest.fixture(scope="package", autouse=True)
def turn() -> Iterator[None]:
    """Share the sandbox with the tests of other processes."""
    with share_sandbox():
        yield


@pytest.fixture(scope="package")
def site(turn: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A login node with Apptainer and Podman, and images that are published for it when a test asks for them."""
    del turn
    name = f"test-{secrets.token_hex(4)}"
    with clients.standing() as node:
        shop = open_shop(tmp_path_factory.mktemp("shop"), name=name)
        shop.checkout.write("tiny/Dockerfile", DOCKERFILE.replace("debian:bookworm-slim", "python:3.12-slim"))
        yield Site(node, f"ghcr.io/{name}", Checkout(ROOT), shop)
