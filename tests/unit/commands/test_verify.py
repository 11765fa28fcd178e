"""Reports of `verify` about an image that is not the published one, or not known to be published."""

from typing import Any

import pytest

from pipeline.commands.verify import SHOWN, explain, explain_published, formats_to_make, verify
from pipeline.config.image_toml import Compression
from pipeline.errors import Code, PipelineError
from pipeline.scripts.messages import Comparison, Difference, Kind, RegistryFailure
from tests.unit.refusals import refused

DIGEST = f"sha256:{'0' * 64}"


def ask(failure: RegistryFailure | None) -> str:
    """The clause about an image in a repository that answers so."""
    return explain_published("small", DIGEST, "ghcr.io/lab/small", failure)


def failed(kind: Kind, reason: str) -> RegistryFailure:
    """A failure of the registry."""
    return RegistryFailure(f"asking for {DIGEST}", "", kind, reason, tries=1, seconds=0)


def test_an_image_that_is_there_is_said_to_be_published() -> None:
    """Equal bytes alone do not say that anybody can pull them."""
    assert ask(None) == "it is published in ghcr.io/lab/small"


def test_a_digest_that_the_repository_does_not_have_is_an_error() -> None:
    """It is one before the build, which may take an hour."""
    with pytest.raises(PipelineError, match=f"^small: ghcr.io/lab/small has no image {DIGEST} ") as error:
        ask(failed(Kind.MISSING, "404"))
    assert error.value.code is Code.DIGEST_UNKNOWN


def test_a_registry_that_cannot_be_asked_is_named() -> None:
    """The digest is compared all the same, and nothing is claimed about the registry."""
    assert ask(failed(Kind.DENIED, "it answered 403")) == (
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


@pytest.mark.parametrize(
    ("published", "compression", "made"),
    [(1, "gzip", [1]), (2, "gzip", [2]), (None, "gzip", [2, 1]), (1, "zstd", [1]), (None, "zstd", [1])],
)
def test_layers_are_made_in_the_published_format(
    published: int | None, compression: Compression, made: list[int]
) -> None:
    """An image from before formats had a number is verified too; where no registry says it, each is tried."""
    assert formats_to_make("small", DIGEST, "ghcr.io/lab/small", published, compression) == made


@pytest.mark.parametrize("number", [0, 3, 999_999_999])
def test_a_format_that_a_newer_release_has_made_is_named(number: int) -> None:
    """Before the build, in one sentence that says what to do."""
    with refused(Code.LAYER_FORMAT_UNKNOWN, "small", f"ghcr.io/lab/small@{DIGEST}", f"format {number}", "newer"):
        formats_to_make("small", DIGEST, "ghcr.io/lab/small", number, "gzip")


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
