"""Locks are made again, checked and compared, with a channel that gets newer packages while the tests run."""

import asyncio
import os
import re
import shutil
import time
from collections.abc import Iterator

import pytest
import pytest_asyncio
from dagger import dag

from pipeline.output.formats import Format
from tests.engine.conftest import Checkout, answer, apply, copy_module, inside, refused
from tests.engine.network import names_reached
from tests.sandbox.channel import index, package
from tests.sandbox.hosts import HOSTS
from tests.sandbox.state import current
from tests.unit.repository import Repository

MANIFEST = """\
[project]
name = "small"
channels = ["conda-forge", "{channel}"]
platforms = ["linux-64"]

[dependencies]
python = "3.12.*"
greeter = "*"
"""
GHCR = next(host for host in HOSTS if host.name == "ghcr.io")


class Channel:
    """A channel beside conda-forge, to which a test adds packages."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.folder = current().folder / "channels" / name
        self.served = f"/srv/conda.anaconda.org/{name}"

    def add(self, name: str, version: str, *depends: str) -> None:
        """Write a package that holds one file, and list it."""
        package.write(self.folder, name, version, "h_0", {f"share/{name}": version}, depends=depends, noarch="generic")
        index.refresh(self.folder)

    def serve(self) -> None:
        """Let the server have it, under its name."""
        inside("ln", "-sfn", str(self.folder), self.served)

    def remove(self) -> None:
        """Leave nothing of it."""
        inside("rm", "-f", self.served)
        shutil.rmtree(self.folder)


@pytest.fixture(scope="module")
def channel() -> Iterator[Channel]:
    """A channel that nobody has seen before, with `greeter`, which needs `words`; both of them in version 1.0."""
    made = Channel(f"lock-{time.time_ns():x}")
    made.add("words", "1.0")
    made.add("greeter", "1.0", "words")
    made.serve()
    yield made
    made.remove()


@pytest.fixture(autouse=True)
def served(channel: Channel) -> None:
    """Packages served beside the sandbox's own channel are gone when its machine was started again."""
    channel.serve()


@pytest_asyncio.fixture(scope="module")
async def small(
    tmp_path_factory: pytest.TempPathFactory,
    channel: Channel,
    connection: None,  # noqa: ARG001  # asked for first
) -> Checkout:
    """A repository with the image `small`, which is locked and committed: the first lock that it gets."""
    repository = Repository(tmp_path_factory.mktemp("checkout"))
    checkout = Checkout(repository.path)
    copy_module(checkout.path)
    checkout.write("small/image.toml", 'description = "A small image"\n')
    checkout.write("small/pixi.toml", MANIFEST.format(channel=channel.name))
    await apply(checkout, "lock", image="small")
    repository.commit("Lock")
    return checkout


def lock(checkout: Checkout, *options: str) -> str:
    """Lock `small` and let the CLI write what changed; what the CLI showed meanwhile."""
    ended = checkout.call("--auto-apply", "lock", "--image", "small", *options)
    assert ended.returncode == 0, ended.stderr
    return ended.stderr


def locked(checkout: Checkout) -> set[str]:
    """Names and versions of what is locked from the test's own channel."""
    lines = checkout.read("small/pixi.lock").splitlines()
    used = {line.rpartition("/")[2] for line in lines if line.startswith("      - conda: ") and "/noarch/" in line}
    return {name.removesuffix("-h_0.conda") for name in used}


@pytest.mark.asyncio
async def test_a_lock_follows_its_channel(small: Checkout, channel: Channel) -> None:
    """One package alone, then all; the build accepts it, and a diff from each kind of place names what changed."""
    assert locked(small) == {"greeter-1.0", "words-1.0"}
    small.write("old.txt", small.read("small/pixi.lock"))
    await asyncio.to_thread(channel.add, "words", "1.1")  # it has a loop of its own
    await asyncio.to_thread(channel.add, "greeter", "1.1", "words")

    shown = lock(small, "--package", "Greeter")
    assert locked(small) == {"greeter-1.1", "words-1.0"}
    assert "1 upgraded" in shown

    await apply(small, "lock", image="small")
    assert locked(small) == {"greeter-1.1", "words-1.1"}
    assert small.read("small/pixi.toml") == MANIFEST.format(channel=channel.name)

    built = await answer(small, "build", image="small")
    assert await built.file("/app/.pixi/envs/default/share/greeter").contents() == "1.1"

    changed = await answer(small, "lock_diff", image="small", format=Format.MARKDOWN)
    assert changed.startswith("### `small`: packages changed since `HEAD`\n\ndefault on linux-64: 2 upgraded; ")
    assert [[cell.strip() for cell in row.split("|")[1:5]] for row in changed.splitlines()[-2:]] == [
        ["greeter", "upgraded", "1.0", "1.1"],
        ["words", "upgraded", "1.0", "1.1"],
    ]
    from_file = small.call("lock-diff", "--image", "small", "--from-file", "old.txt", "--format", "markdown")
    assert from_file.returncode == 0, from_file.stderr
    assert from_file.stdout.splitlines()[1:] == changed.splitlines()[1:]


@pytest.mark.asyncio
async def test_a_published_image_is_compared_with(small: Checkout, channel: Channel) -> None:
    """An image has the lock that it was built from."""
    address = f"ghcr.io/maniaclab/{channel.name}:1"
    password = dag.set_secret(GHCR.password_variable, os.environ[GHCR.password_variable])
    built = await answer(small, "build", image="small")
    await built.with_registry_auth(GHCR.name, os.environ[GHCR.user_variable], password).publish(address)
    same = await answer(small, "lock_diff", image="small", reference=address)
    assert same == f"small/pixi.lock holds the same packages as the one of {address}\n"
    sentence = await refused(small, "lock_diff", image="small", reference="docker.io/library/python:3.12-slim")
    assert sentence.startswith("image docker.io/library/python:3.12-slim has no /app/pixi.lock")


def test_a_fresh_lock_is_left_alone(small: Checkout) -> None:
    """The check says so and changes nothing; typed, as the module asks the channel from its own container."""
    before = small.read("small/pixi.lock")
    assert "small/pixi.lock is fresh: pixi and the channels agree with it" in lock(small, "--check")
    assert small.read("small/pixi.lock") == before


@pytest.mark.asyncio
async def test_a_lock_that_was_edited_is_caught(small: Checkout) -> None:
    """The hashes and packages of a lock that pixi trusts are compared with the channel."""
    good = small.read("small/pixi.lock")
    try:
        head, name, rest = good.replace("/words-1", "/words-9").partition("\n  name: greeter\n")
        small.write("small/pixi.lock", head + name + re.sub("sha256: .{64}", f"sha256: {'0' * 64}", rest, count=1))
        with names_reached():
            sentence = await refused(small, "lock", image="small", check=True)
    finally:
        small.write("small/pixi.lock", good)
    assert "its channel has another sha256 for noarch/greeter-1." in sentence
    assert "its channel does not list noarch/words-9" in sentence


@pytest.mark.asyncio
async def test_a_lock_that_lacks_what_a_package_needs_is_caught(small: Checkout) -> None:
    """pixi says so itself, before a channel is asked."""
    good = small.read("small/pixi.lock")
    try:
        lines = good.splitlines(keepends=True)
        edited = "".join(line for line in lines if "      - conda: " not in line or "/words-" not in line)
        small.write("small/pixi.lock", edited)
        sentence = await refused(small, "lock", image="small", check=True)
    finally:
        small.write("small/pixi.lock", good)
    assert sentence.startswith("small/pixi.lock does not match small/pixi.toml (pixi: the dependencies of environment")
    assert "words" in sentence


@pytest.mark.asyncio
async def test_what_cannot_be_locked_is_told(small: Checkout) -> None:
    """A requirement without a solution, by pixi's own words."""
    manifest = small.read("small/pixi.toml")
    try:
        small.write("small/pixi.toml", manifest.replace('greeter = "*"', 'greeter = ">=7"'))
        sentence = await refused(small, "lock", image="small")
    finally:
        small.write("small/pixi.toml", manifest)
    assert sentence.startswith("small: pixi cannot lock what small/pixi.toml asks for: ")
    assert "greeter >=7" in sentence
