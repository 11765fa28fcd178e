"""Registries are asked for what a page has room for, and may be silent."""

from collections.abc import Sequence

import pytest
from dagger import dag

from pipeline.checkout import Checkout
from pipeline.commands import report
from pipeline.config.settings import Settings
from pipeline.credentials.registry_auth import Login
from pipeline.errors import Code
from pipeline.page import Repository
from pipeline.registry.client import Destination
from pipeline.scripts.messages import Kind, RegistryFailure, RepositoryReport
from tests.unit.conftest import CheckoutFolder
from tests.unit.refusals import refused

TAGS = ("latest", *(f"2026.{number}.0" for number in range(1, 15)), "latest-sif", "2026.1.0-sif")


class Registry:
    """Stands for all registries: one has tags, one has none, one does not answer."""

    def __init__(self, settings: Settings) -> None:
        assert settings.registry_seconds <= 10

    async def ask(
        self, to: Destination, immutable: Sequence[str], floating: Sequence[str], *, writes: bool
    ) -> RepositoryReport:
        assert not writes
        assert to.login == Login("")
        assert not floating
        if to.host == "silent.org":
            doing = "reading the tags"
            failure = RegistryFailure(doing=doing, tag="", kind=Kind.TRANSIENT, reason="no answer", tries=1, seconds=0)
            return RepositoryReport(failure=failure)
        return RepositoryReport(
            tags=TAGS if to.host == "full.org" else (), digests={tag: f"sha256:{tag}" for tag in immutable}
        )


@pytest.mark.asyncio
async def test_a_page_has_the_newest_tags_of_each_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten of them with their digests, and the number of the others; why one is not known does not end the rest."""
    monkeypatch.setattr(report, "Registry", Registry)
    full, empty, silent = await report.ask_all(["full.org/a", "empty.org/a", "silent.org/a"], [], Settings())
    assert [tag.name for tag in full.tags[:2]] == ["latest", "2026.14.0"]
    assert full.tags[1].digest == "sha256:2026.14.0"
    assert [tag.sif for tag in full.tags[:2]] == ["sha256:latest-sif", ""]
    assert (len(full.tags), full.more, full.failure) == (10, 5, "")
    assert empty == Repository(name="empty.org/a")
    assert silent == Repository(name="silent.org/a", failure="reading the tags failed: no answer")


@pytest.mark.asyncio
async def test_changes_of_a_dockerfile_are_refused(checkout: CheckoutFolder) -> None:
    """There is no lock to compare, and a page without what was asked for is none."""
    checkout.write("small/image.toml", 'description = "A small image"\ndockerfile = "Dockerfile"\n')
    checkout.write("small/Dockerfile", "FROM debian\n")
    opened = Checkout(dag.directory(), checkout.path, Settings())
    with refused(Code.OPTION_CONFLICT, "small", "Dockerfile", "no pixi.lock", "--from"):
        await report.report(opened, "small", None, reference="main", file=None, probes=False, auths=[])
