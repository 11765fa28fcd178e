"""Errors of the engine: their texts are those of Dagger v0.19.10, and each becomes one sentence with a remedy."""

import logging
from dataclasses import dataclass, field

import dagger
import pytest

from pipeline.credentials.registry_auth import RegistryAuth
from pipeline.engine_errors import explain, explained, unpulled_image
from pipeline.errors import Code, PipelineError
from tests.unit.steps import engine_error, exec_error

GONE = (
    'failed to resolve image "docker.io/library/python:3.12-slim" (platform: "linux/amd64"): failed to resolve source '
    "metadata for docker.io/library/python:3.12-slim: docker.io/library/python:3.12-slim: not found "
    "[traceparent:5b1165c7f8c16746f572187dca558c33-a8b76d13295e7245]"
)
LIMITED = (
    "failed to resolve source metadata for docker.io/library/python:3.12-slim: unexpected status from HEAD request to "
    "https://registry-1.docker.io/v2/library/python/manifests/3.12-slim: 429 Too Many Requests\ntoomanyrequests"
)
DENIED = (
    "failed to resolve source metadata for ghcr.io/a/b:1: failed to authorize: failed to fetch anonymous token: "
    "unexpected status from GET request to https://ghcr.io/token: 403 Forbidden"
)


@pytest.mark.parametrize(
    ("text", "code", "parts"),
    [
        (
            GONE,
            Code.BASE_IMAGE_UNAVAILABLE,
            ["image docker.io/library/python:3.12-slim, which a step needs, cannot be pulled: not found; check"],
        ),
        (
            "failed to resolve source metadata for a.org/b:1@sha256:12: a.org/b:1@sha256:12: not found",
            Code.BASE_IMAGE_UNAVAILABLE,
            ["; if it no longer has this digest, pin another one ('dagger call lock' does so for tool images)"],
        ),
        (LIMITED, Code.BASE_IMAGE_UNAVAILABLE, ["429 Too Many Requests toomanyrequests; check its name"]),
        (
            DENIED,
            Code.BASE_IMAGE_UNAVAILABLE,
            ["image ghcr.io/a/b:1, ", ": put 'with-registry-auth --address ghcr.io "],
        ),
        (
            "write /x: no space left on device",
            Code.STEP_FAILED,
            ["the engine failed: write /x: no", "local-cache prune"],
        ),
        (
            'load file(path: "pixi.toml"): module not found: /a',
            Code.STEP_FAILED,
            ["module not found: /a; the engine mixed"],
        ),
        ('secret env var not found: "NOT..."', Code.CREDENTIALS_INVALID, ["a secret cannot be read: secret env var"]),
        (
            'failed to read secret file "/n": no such file',
            Code.CREDENTIALS_INVALID,
            ["; correct the argument"],
        ),
        ('failed to run secret command "false": exit status 1', Code.CREDENTIALS_INVALID, ["; correct the argument"]),
        ("something new", Code.STEP_FAILED, ["the engine failed: something new; run the same command again; the log"]),
    ],
)
def test_an_error_becomes_a_sentence(text: str, code: Code, parts: list[str]) -> None:
    """It has the engine's reason on one line, without the numbers of a trace, and the remedy."""
    error = explain(engine_error(text))
    assert error.code is code
    assert all(part in error.message for part in parts), error.message
    assert "\n" not in error.message
    assert "traceparent" not in error.message


def test_the_image_that_cannot_be_pulled_is_known() -> None:
    """For a message that does not have it already, such as that of a Dockerfile."""
    assert unpulled_image(engine_error(LIMITED)) == "docker.io/library/python:3.12-slim"
    assert unpulled_image(engine_error("something new")) == ""


def test_credentials_that_a_registry_rejects_are_named() -> None:
    """They were given, so the remedy is not to give some."""
    assert "; ghcr.io rejects its credentials" in explain(engine_error(DENIED), ["ghcr.io"]).message


def test_a_failed_command_is_reported_by_its_last_line() -> None:
    """The lines before that are in the engine's log."""
    error = exec_error(stderr="Collecting …\nERROR: no hash\n", code=3)
    assert isinstance(error, dagger.ExecError)
    assert explain(error).message.startswith(
        "a step ended with exit code 3: ERROR: no hash; run the same command again"
    )


def test_a_lost_connection_is_no_failure_of_a_step() -> None:
    """It names the connection."""
    error = explain(dagger.TransportError("Connection to engine has been closed."))
    assert error.message.startswith("the connection to the engine failed: Connection to engine has been closed.; ")


@dataclass
class Functions:
    """Functions of a module that fail."""

    auths: list[RegistryAuth] = field(default_factory=list)

    @explained
    async def fail(self, text: str) -> None:
        """Fail as the engine does."""
        raise engine_error(text)


@pytest.mark.asyncio
async def test_a_function_of_the_module_raises_the_sentence(caplog: pytest.LogCaptureFixture) -> None:
    """Its name and its arguments stay, which Dagger reads."""
    assert Functions.fail.__name__ == "fail"
    with pytest.raises(PipelineError, match=r"^image docker.io/library/python:3.12-slim, which .* \[base-image-unava"):
        await Functions().fail(GONE)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
