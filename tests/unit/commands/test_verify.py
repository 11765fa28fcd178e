"""Reports of `verify` about an image that is not the published one, or not known to be published."""

from typing import Any

import pytest

from pipeline.commands.verify import SHOWN, explain, require_published, verify
from pipeline.config.settings import Settings
from pipeline.credentials.registry_auth import Login
from pipeline.errors import Code, PipelineError
from pipeline.registry.client import Destination, Registry
from pipeline.scripts.messages import Comparison, Difference, Kind, RegistryFailure, RepositoryReport

DIGEST = f"sha256:{'0' * 64}"


async def ask(monkeypatch: pytest.MonkeyPatch, failure: RegistryFailure | None) -> str:
    """The clause about an image in a repository that answers so."""

    async def answer(_: Registry, to: Destination, digest: str) -> RepositoryReport:
        assert (to.repository, digest) == ("ghcr.io/lab/small", DIGEST)
        return RepositoryReport(failure=failure)

    monkeypatch.setattr(Registry, "require", answer)
    to = Destination("ghcr.io/lab/small", Login("", None))
    return await require_published(Settings(), "small", DIGEST, to)


def failed(kind: Kind, reason: str) -> RegistryFailure:
    """A failure of the registry."""
    return RegistryFailure(f"asking for {DIGEST}", "", kind, reason, tries=1, seconds=0)


@pytest.mark.asyncio
async def test_an_image_that_is_there_is_said_to_be_published(monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal bytes alone do not say that anybody can pull them."""
    assert await ask(monkeypatch, None) == "it is published in ghcr.io/lab/small"


@pytest.mark.asyncio
async def test_a_digest_that_the_repository_does_not_have_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is one before the build, which may take an hour."""
    with pytest.raises(PipelineError, match=f"^small: ghcr.io/lab/small has no image {DIGEST} ") as error:
        await ask(monkeypatch, failed(Kind.MISSING, "404"))
    assert error.value.code is Code.DIGEST_UNKNOWN


@pytest.mark.asyncio
async def test_a_registry_that_cannot_be_asked_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The digest is compared all the same, and nothing is claimed about the registry."""
    assert await ask(monkeypatch, failed(Kind.DENIED, "it answered 403")) == (
        "whether it is published in ghcr.io/lab/small is not known, "
        f"because asking for {DIGEST} failed: it answered 403"
    )


@pytest.mark.asyncio
@pytest.mark.parametrize("digest", ["", "v2026.2.0", "sha256:123", "sha512:" + "0" * 128, f"{DIGEST}\n"])
async def test_what_is_no_digest_is_an_error(digest: str) -> None:
    """A tag, or a digest that was cut off."""
    nothing: Any = None
    options = {"repository": None, "signer": None, "auths": (), "docker_config": None}
    with pytest.raises(PipelineError, match="is no digest of an image; ") as error:
        await verify(nothing, "small", digest, **options)  # type: ignore[arg-type]
    assert error.value.code is Code.DIGEST_UNKNOWN


def test_differences_are_a_table_under_one_sentence() -> None:
    """Both digests, how much differs, and of each difference where and how."""
    found = Difference(location="layer 3 of 5", path="usr/lib/a", what="time", published="0", built="1")
    text = explain("small", "ghcr.io/lab/small", "sha256:1", "sha256:2", Comparison(differences=(found,)))
    first, *table = text.splitlines()
    assert first.startswith("small: built here it is sha256:2, and not sha256:1 of ghcr.io/lab/small; 1 ")
    assert any(all(part in line for part in ("layer 3 of 5", "usr/lib/a", "time", "0", "1")) for line in table)


def test_what_is_not_shown_is_counted() -> None:
    """However many differences there are, the message is read in one glance."""
    one = Difference(location="layer 1 of 1", path="a", what="time", published="0", built="1")
    text = explain("small", "r", "d", "e", Comparison(differences=(one,) * (SHOWN + 5), more=7))
    assert text.endswith("and 12 more\n")
    assert f"; {SHOWN + 12} differences" in text


def test_an_image_that_cannot_be_read_is_said_to_be_unknown() -> None:
    """It is another image, and why nobody can say how it differs."""
    text = explain("small", "r", "d", "e", Comparison(failure="it did not answer"))
    assert text.endswith("what differs is not known, because the published one cannot be read: it did not answer")
