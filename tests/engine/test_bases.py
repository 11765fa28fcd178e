"""Base images are locked by digest: a build stands on what was locked, whatever became of the tag."""

import re
import secrets
from dataclasses import dataclass

import pytest

from tests.engine.conftest import Checkout, refused
from tests.engine.publishing import digest_of, docker_config, skopeo

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


def label(checkout: Checkout, name: str) -> str:
    """A label of the image, which is built for it."""
    ended = checkout.call("build", "--image", "small", "label", "--name", f"org.opencontainers.image.base.{name}")
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def test_a_build_stands_on_what_was_locked(checkout: Checkout, base: Base) -> None:
    """The tag moves, and the image does not follow before it is locked again; the log tells the digests."""
    first = base.become(NOBLE)
    unpinned = checkout.call("build", "--image", "small", "label", "--name", "org.opencontainers.image.base.digest")
    assert "sha256:" not in unpinned.stdout
    assert "without small/base.lock, base images are what their tags are now" in unpinned.stderr

    locked = checkout.call("--auto-apply", "lock", "--image", "small")
    assert locked.returncode == 0, locked.stderr
    assert f'"{base.reference}" = "{first}"\n' in checkout.read("small/base.lock")
    assert label(checkout, "digest") == first

    second = base.become(CUDA)
    assert second != first
    # Another image for the engine, so that nothing is answered from what it knows.
    checkout.write("small/image.toml", checkout.read("small/image.toml") + '[env]\nMOVED = "1"\n')
    assert (label(checkout, "name"), label(checkout, "digest")) == (base.reference, first)
    fresh = checkout.call("lock", "--image", "small", "--check")
    assert fresh.returncode == 0, fresh.stderr

    again = checkout.call("--auto-apply", "lock", "--image", "small")
    assert again.returncode == 0, again.stderr
    assert f'"{base.reference}" = "{second}"\n' in checkout.read("small/base.lock")
    assert first[:19] in again.stderr
    assert label(checkout, "digest") == second


def test_a_package_is_locked_without_its_base(checkout: Checkout, base: Base) -> None:
    """The digest stays, also where the tag has moved on."""
    first = base.become(NOBLE)
    checkout.call("--auto-apply", "lock", "--image", "small")
    before = checkout.read("small/base.lock")
    assert first in before
    base.become(CUDA)
    ended = checkout.call("--auto-apply", "lock", "--image", "small", "--package", "python")
    assert ended.returncode == 0, ended.stderr
    assert checkout.read("small/base.lock") == before


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_a_base_image_that_is_not_locked_is_refused(checkout: Checkout) -> None:
    """By a build, by the check of the lock, and by the check of a pull request, which names the line."""
    checkout.write("small/base.lock", "[digests]\n")
    problem = f"small/base.lock does not fit: it lacks {CUDA}, which is 'base' in images.toml"
    assert (await refused(checkout, "build", image="small")).startswith(problem)
    assert (await refused(checkout, "lock", image="small", check=True)).startswith(problem)
    said = await refused(checkout, "locks_fresh")
    assert re.match(rf"{re.escape(problem)}:\d+; run 'dagger call lock --image small' and commit base\.lock", said)


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_a_digest_that_is_gone_is_told(checkout: Checkout) -> None:
    """What the registry no longer has cannot be built on: locking again takes what it has."""
    gone = f"sha256:{'0' * 64}"
    checkout.write("small/base.lock", f'[digests]\n"{CUDA}" = "{gone}"\n')
    said = await refused(checkout, "build", image="small")
    assert said.startswith(f"small: base image {CUDA}@{gone} cannot be pulled: ")
    assert said.endswith("; if it no longer has this digest, run 'dagger call lock --image small' and commit base.lock")
