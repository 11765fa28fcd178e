"""Base images are locked by digest: a build stands on what was locked, whatever became of the tag."""

import re
import secrets
from dataclasses import dataclass

import pytest

from tests.engine.conftest import Checkout, a_session, answer, apply, refused
from tests.engine.network import names_reached
from tests.engine.publishing import digest_of, docker_config, skopeo

pytestmark = pytest.mark.asyncio

NOBLE = "ghcr.io/prefix-dev/pixi:noble"
CUDA = "ghcr.io/prefix-dev/pixi:noble-cuda-13.0.0"


@dataclass(frozen=True)
class Base:
    """A base image in a repository of the test's own, whose tag the test moves."""

    reference: str

    def become(self, other: str) -> str:
        """Let the tag be another image from now on; its digest."""
        command = ["copy", "--all", "--preserve-digests", "--authfile", str(docker_config())]
        skopeo(*command, f"docker://{other}", f"docker://{self.reference}")
        return digest_of(*self.reference.rsplit(":", 1))


@pytest.fixture
def base(checkout: Checkout) -> Base:
    """The base of the image `small`."""
    made = Base(f"ghcr.io/maniaclab/base-{secrets.token_hex(4)}:noble")
    checkout.write("small/image.toml", f'description = "A small image"\nbase = "{made.reference}"\n')
    return made


async def label(checkout: Checkout, name: str) -> str | None:
    """A label of the image, which is built for it."""
    built = await answer(checkout, "build", image="small")
    found: str | None = await built.label(f"org.opencontainers.image.base.{name}")
    return found


async def lock(checkout: Checkout, *packages: str) -> None:
    """Lock the image, and write what changed."""
    await apply(checkout, "lock", image="small", package=[*packages])


async def test_a_build_stands_on_what_was_locked(
    checkout: Checkout, base: Base, capsys: pytest.CaptureFixture[str]
) -> None:
    """The tag moves, and the image does not follow before it is locked again; the log has the digests.

    What locks a package alone leaves the digest as it is.
    """
    first = base.become(NOBLE)
    async with a_session():
        assert await label(checkout, "digest") is None
        assert "without small/base.lock, base images are what their tags are now" in capsys.readouterr().out
        await lock(checkout)
        assert f'"{base.reference}" = "{first}"\n' in checkout.read("small/base.lock")
        assert await label(checkout, "digest") == first

    second = base.become(CUDA)
    assert second != first
    # Another image for the engine, so that nothing is answered from what it knows.
    checkout.write("small/image.toml", checkout.read("small/image.toml") + '[env]\nMOVED = "1"\n')
    # As a call has a session, in which a tag is looked up once.
    async with a_session():
        with names_reached():
            await answer(checkout, "lock", image="small", check=True)
        assert (await label(checkout, "name"), await label(checkout, "digest")) == (base.reference, first)
    async with a_session():
        before = checkout.read("small/base.lock")
        await lock(checkout, "python")
        assert checkout.read("small/base.lock") == before
        capsys.readouterr()
        await lock(checkout)
        assert f'"{base.reference}" = "{second}"\n' in checkout.read("small/base.lock")
        assert first[:19] in capsys.readouterr().out
        assert await label(checkout, "digest") == second


async def test_a_base_image_that_is_not_locked_is_refused(checkout: Checkout) -> None:
    """By a build, by the check of the lock, and by the check of a pull request, which names the line."""
    checkout.write("small/base.lock", "[digests]\n")
    problem = f"small/base.lock does not fit: it lacks {CUDA}, which is 'base' in images.toml"
    async with a_session():
        assert (await refused(checkout, "build", image="small")).startswith(problem)
        assert (await refused(checkout, "lock", image="small", check=True)).startswith(problem)
        sentence = await refused(checkout, "locks_fresh")
    assert re.match(rf"{re.escape(problem)}:\d+; run 'dagger call lock --image small' and commit base\.lock", sentence)


async def test_a_digest_that_is_gone_is_told(checkout: Checkout) -> None:
    """A base image that the registry no longer has cannot be built on: locking again takes the one that it has."""
    gone = f"sha256:{'0' * 64}"
    checkout.write("small/base.lock", f'[digests]\n"{CUDA}" = "{gone}"\n')
    async with a_session():
        sentence = await refused(checkout, "build", image="small")
    assert sentence.startswith(f"small: base image {CUDA}@{gone} cannot be pulled: ")
    assert sentence.endswith(
        "; if it no longer has this digest, run 'dagger call lock --image small' and commit base.lock"
    )
