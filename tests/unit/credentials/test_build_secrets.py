"""Build secrets: the ids that a Dockerfile mounts, and the messages about those that do not fit."""

from dataclasses import dataclass
from typing import cast

import dagger
import pytest

from pipeline.credentials.build_secrets import (
    LIMIT,
    BuildSecret,
    check_id,
    choose_secrets,
    describe_missing,
    explain_missing,
    mounted_ids,
    read_secrets,
    require_mounted,
)
from pipeline.errors import Code
from tests.unit.refusals import refused


@pytest.mark.parametrize(
    ("mount", "name"),
    [
        ("type=secret,id=tok", "tok"),
        ("id=tok,required=true,type=secret", "tok"),
        ("type=secret,target=/root/.netrc", ".netrc"),
        ("type=secret,id=other,source=tok,dst=/x", "tok"),
        ("TYPE=secret,ID=tok,env=TOKEN", "tok"),
        ('"type=secret,id=tok"', "tok"),
    ],
)
def test_the_id_of_a_mount(mount: str, name: str) -> None:
    """Docker's defaults, as `dispatchSecret` of its front end has them."""
    assert mounted_ids(f"FROM scratch\nRUN --network=none \\\n  --mount={mount} cat /run/secrets/{name}\n") == {name}


def test_other_mounts_have_no_secret() -> None:
    """Caches have ids too, and comments mount nothing."""
    text = "RUN --mount=type=cache,id=tok,target=/a true\n  # RUN --mount=type=secret,id=tok true\nRUN type=secret,id=x"
    assert not mounted_ids(text)


def test_a_dockerfile_gets_the_secrets_that_it_mounts() -> None:
    """A secret for another Dockerfile is not given; an id with a variable may be any."""
    values = {"tok": "1", "key": "2"}
    assert choose_secrets(values, {"tok", "other"}) == {"tok": "1"}
    assert choose_secrets(values, {"$NAME"}) == values
    assert not choose_secrets(values, set())


def test_a_secret_that_no_dockerfile_mounts() -> None:
    """One sentence, with the ids that there are."""
    dockerfiles = {
        "made/Dockerfile": "RUN --mount=type=secret,id=tok --mount=type=secret,id=key true",
        "other/Dockerfile": "RUN true",
    }
    require_mounted(["key", "tok"], dockerfiles)
    with refused(
        Code.OPTION_CONFLICT,
        "with-build-secret: no Dockerfile mounts 'token'",
        "'key' in made/Dockerfile, 'tok' in made/Dockerfile",
    ):
        require_mounted(["tok", "token"], dockerfiles)
    with refused(Code.OPTION_CONFLICT, "no Dockerfile mounts 'tok'", "mounted: there is none"):
        require_mounted(["tok"], {})


def test_secrets_that_were_not_given() -> None:
    """A required one ends the build with its name; without the others it goes on, and says so."""
    error = "failed to solve: secret not found: tok [traceparent:01]"
    assert explain_missing(error) == (
        "it requires the secret 'tok'; put 'with-build-secret --id tok --secret env:NAME' before the function"
    )
    assert explain_missing("failed to solve: not found") is None
    assert describe_missing({"tok", "key", "$NAME"}) == (
        "its steps run without these secrets, which were not given: 'key', 'tok'; "
        "'with-build-secret --id key --secret env:NAME' before the function gives one"
    )
    assert not describe_missing({"$NAME"})


def test_ids_are_given_once() -> None:
    """Nobody has to know which one of two values wins."""
    assert check_id("tok", ["key"]) == "tok"
    with refused(Code.CREDENTIALS_INVALID, "with-build-secret: tok has a value already"):
        check_id("tok", ["tok"])
    with refused(Code.CREDENTIALS_INVALID, "with-build-secret: --id is empty"):
        check_id(" ", [])


@dataclass
class Secret:
    """Stands for a secret of the engine."""

    value: str

    async def plaintext(self) -> str:
        return self.value


def given(value: str) -> list[BuildSecret]:
    """One secret as `with-build-secret` takes it."""
    return [BuildSecret(name="tok", secret=cast("dagger.Secret", Secret(value)))]  # type: ignore[call-arg]  # mypy does not know Dagger's fields


@pytest.mark.asyncio
async def test_a_secret_is_given_as_it_is() -> None:
    """Docker keeps the newline at the end of a file, too."""
    assert await read_secrets(given("line\n")) == {"tok": "line\n"}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("\n", "is empty"),
        ("x" * (LIMIT + 1), f"has {LIMIT + 1} bytes"),
        ("hidden\N{REPLACEMENT CHARACTER}", "is not text in UTF-8"),
    ],
)
async def test_a_secret_that_cannot_be_given(value: str, problem: str) -> None:
    """The sentence has its id, and nothing of its value."""
    with refused(Code.CREDENTIALS_INVALID, f"with-build-secret: the value of tok {problem}") as raised:
        await read_secrets(given(value))
    assert "hidden" not in raised.value.message
