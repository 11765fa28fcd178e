import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import anyio
import dagger
import pytest
import rattler
from dagger import dag

import pipeline.checkout
from pipeline.checkout import Checkout, ImageSource
from pipeline.concurrency import results_of
from pipeline.config.image_toml import ImageSpec
from pipeline.config.settings import Settings
from pipeline.errors import Code, SpecError
from pipeline.git.commit import Commit
from pipeline.locks import base_images, image_lock
from tests.unit.conftest import CheckoutFolder
from tests.unit.lockfiles import conda, write
from tests.unit.refusals import refused

BOTH = ImageSource(
    "small",
    ImageSpec(description="x", platforms=("linux/arm64", "linux/amd64")),
    Path("small"),
    dag.directory(),
    Settings(),
)


def test_the_first_platform_is_built_unless_another_is_asked_for() -> None:
    """The order in image.toml says what `build` gives by itself."""
    assert BOTH.platform(None) == "linux/arm64"
    assert BOTH.platform("linux/amd64") == "linux/amd64"


def test_a_platform_that_the_image_does_not_have_is_refused() -> None:
    """The message has the key, and the nearest platform."""
    facts = ["small/image.toml", "'platforms'", "'linux/arm'", "'linux/arm64'"]
    with refused(Code.PLATFORM_UNKNOWN, *facts, kind=SpecError):
        BOTH.platform("linux/arm")


def test_each_file_of_an_image_is_read_once(checkout: CheckoutFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often a call asks for the image, on however many platforms."""
    both = {platform: [conda("zlib-1-h_0", platform)] for platform in ("linux-64", "linux-aarch64")}
    checkout.write("small/pixi.lock", write({"default": both}))
    checkout.write("small/pixi.toml", '[workspace]\nchannels = []\nplatforms = ["linux-64", "linux-aarch64"]\n')
    checkout.write("small/image.toml", "description = 'x'\nplatforms = ['linux/amd64', 'linux/arm64']\n")
    checkout.write("small/base.lock", base_images.write("small", {Settings().base: f"sha256:{'1' * 64}"}))
    read: list[str] = []
    for module, name in (
        (pipeline.checkout, "load_spec"),
        (image_lock, "read_manifest"),
        (base_images, "read"),
        (rattler.LockFile, "from_path"),
    ):
        original = getattr(module, name)

        def counting(*arguments: object, name: str = name, original: Callable[..., object] = original) -> object:
            read.append(name)
            return original(*arguments)

        monkeypatch.setattr(module, name, counting)
    opened = Checkout(dag.directory(), checkout.path, Settings())
    for _ in range(2):
        for image in opened.images():
            for platform in image.spec.platforms:
                assert len(image.lock(platform).candidates) == 1
                assert image.inputs(platform).base_digests
            assert len(image.files.packages()) == 2
    assert sorted(read) == ["from_path", "load_spec", "read", "read_manifest"]


def test_each_image_has_the_changes_that_concern_it(checkout: CheckoutFolder) -> None:
    """A change to one image leaves the label `revision` to the others; the settings concern all."""
    for name in ("small", "other"):
        checkout.write(f"{name}/image.toml", "description = 'x'\n")
    commit = Commit("ab" * 20, datetime(2026, 2, 3, tzinfo=UTC), ("images.toml", "other/pixi.lock"))
    opened = Checkout(dag.directory(), checkout.path, Settings(), commit)
    found = {image.name: image.commit.changed for image in opened.images() if image.commit}
    assert found == {"other": ("images.toml", "other/pixi.lock"), "small": ("images.toml",)}
    assert opened.commit_of("small") == opened.image("small").commit
    assert opened.commit_of(None) == commit
    assert Checkout(dag.directory(), checkout.path, Settings()).commit_of("small") is None


@pytest.mark.asyncio
async def test_the_settings_limit_what_runs_at_once(checkout: CheckoutFolder) -> None:
    """From when the checkout is open, in every loop of the call."""

    class Source(dagger.Directory):
        """The checkout's files, as the engine would export them."""

        def __init__(self) -> None:
            """Without an engine."""

        async def export(self, path: str, *, wipe: bool | None = False) -> str:
            """Copy them."""
            del wipe
            shutil.copytree(checkout.path, path, dirs_exist_ok=True)
            return path

    checkout.write("pyproject.toml", "[tool.pipeline]\nparallelism = 2\n")
    await Checkout.open(Source())
    running: list[int] = []
    most = 0

    async def work(number: int) -> None:
        nonlocal most
        running.append(number)
        most = max(most, len(running))
        await anyio.sleep(0.001)
        running.remove(number)

    await results_of(work, range(6))
    assert most == 2


def test_the_lowest_layers_are_those_of_the_image_that_runs(checkout: CheckoutFolder) -> None:
    """By the digest that is built on: of `runtime_base` where it is another one, or of a Dockerfile's last stage."""
    one, two = (f"sha256:{digit * 64}" for digit in "12")
    spec = ImageSpec(description="x", base="a/pixi:1", runtime_base="a/debian:12")
    checkout.write("small/base.lock", base_images.write("small", {"a/pixi:1": one, "a/debian:12": two}))
    source = checkout.source(spec)
    assert source.layers_below(source.inputs("linux/amd64")) == f"a/debian:12@{two}"
    checkout.remove("small/base.lock")
    source = checkout.source(ImageSpec(description="x", base="a/pixi:1"))
    assert source.layers_below(source.inputs("linux/amd64")) == "a/pixi:1"
    checkout.write("small/Dockerfile", f"FROM golang:1 AS build\nFROM a/debian:12@{two}\n")
    source = checkout.source(ImageSpec(description="x", dockerfile="Dockerfile"))
    assert source.layers_below(source.inputs("linux/amd64")) == f"a/debian:12@{two}"
