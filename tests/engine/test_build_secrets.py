"""Secrets for the steps of a Dockerfile: there during the step, and nowhere afterwards."""

import secrets
from pathlib import Path

import pytest
from dagger import dag

from pipeline.main import Pipeline
from tests.engine.conftest import Before, Checkout, a_session, answer, refused
from tests.engine.private import files_of

pytestmark = pytest.mark.asyncio
#: A step that needs the secret, and one that does without it where it is not given.
DOCKERFILE = """\
FROM docker.io/library/debian:bookworm-slim
RUN --mount=type=secret,id=tok,required=true test "$(wc -c < /run/secrets/tok)" -gt 20 && echo {stamp} > /stamp
RUN --mount=type=secret,id=more if test -e /run/secrets/more; then echo more; fi > /more
"""


def giving(*pairs: tuple[str, str]) -> Before:
    """The secrets of these ids, as `with-build-secret` gives them."""

    def give(pipeline: Pipeline) -> Pipeline:
        for name, value in pairs:
            # Of a name that differs from the id, as those of the CLI do.
            pipeline = pipeline.with_build_secret(name, dag.set_secret(f"given-{name}", value))
        return pipeline

    return give


def read(file: Path) -> bytes:
    """The content of a file."""
    return file.read_bytes()


@pytest.fixture
def made(checkout: Checkout) -> Checkout:
    """A checkout with an image whose Dockerfile mounts two secrets."""
    checkout.write("made/image.toml", 'description = "Made with a secret"\ndockerfile = "Dockerfile"\n')
    checkout.write("made/Dockerfile", DOCKERFILE.format(stamp=secrets.token_hex()))
    return checkout


async def test_a_step_gets_its_secret(made: Checkout, tmp_path: Path, log: Path) -> None:
    """In no layer, label, variable or log, nor in reach of later commands; another value makes the same image."""
    values = [secrets.token_hex(), secrets.token_hex()]
    for number, value in enumerate(values):
        async with a_session(log):
            built = await answer(made, "build", giving(("tok", value)), image="made")
            tarball = tmp_path / f"{number}.tar"
            await built.as_tarball().export(str(tarball))
            left = await built.with_exec(["sh", "-c", "ls -A /run; env; cat /more"]).stdout()
        found = b"".join(files_of(tarball))
        assert b"stamp" in found
        assert "secrets" not in left
        assert not [text for text in (found, left.encode(), read(log)) if value.encode() in text]
    assert read(tmp_path / "0.tar") == read(tmp_path / "1.tar")


async def test_a_secret_that_does_not_fit(made: Checkout) -> None:
    """One sentence for one that is required, one that a step misses, and one that no Dockerfile mounts.

    A step that prints a secret prints it in the engine's log, but not in the message.
    """
    value = secrets.token_hex()
    async with a_session():
        sentence = await refused(made, "build", image="made")
        assert sentence == (
            "made: made/Dockerfile was not built: it requires the secret 'tok'; put 'with-build-secret --id tok "
            "--secret env:NAME' before the function"
        )
        sentence = await refused(made, "build", giving(("token", value)), image="made")
        assert sentence.startswith("with-build-secret: no Dockerfile mounts 'token'; ")
        mounts = "--mount=type=secret,id=tok --mount=type=secret,id=more"
        step = f"RUN {mounts} cat /run/secrets/tok /run/secrets/more\n"
        made.write("made/Dockerfile", DOCKERFILE.format(stamp="x") + step)
        sentence = await refused(made, "build", giving(("tok", value)), image="made")
        assert "its steps run without these secrets, which were not given: 'more'" in sentence
        assert value not in sentence
