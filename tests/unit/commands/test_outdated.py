"""Which base images and packages of a checkout are asked about."""

import pytest
from dagger import dag

from pipeline.checkout import Checkout
from pipeline.commands.outdated import Packages, by_repository, find_bases, find_packages, notes, read_version
from pipeline.config.settings import Settings
from pipeline.errors import Code, LockError, OutdatedError
from pipeline.locks import base_images
from pipeline.updates.report import Base
from tests.unit.conftest import CheckoutFolder
from tests.unit.lockfiles import conda, pypi, write
from tests.unit.refusals import refused

PIXI = "ghcr.io/prefix-dev/pixi:noble"
DEBIAN = "docker.io/library/debian:bookworm-slim"
ONE, TWO = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"


def opened(folder: CheckoutFolder) -> Checkout:
    """A checkout as it is when the engine is not asked."""
    return Checkout(dag.directory(), folder.path, Settings(base=PIXI))


def found(folder: CheckoutFolder) -> list[Base]:
    """The base images of `small`."""
    return find_bases(opened(folder).image("small"))


def test_base_images_are_found_with_their_digests(checkout: CheckoutFolder) -> None:
    """And with the file that names each; only what installs the image is asked for its pixi."""
    checkout.write("small/image.toml", f"description = 'x'\nruntime_base = '{DEBIAN}'\n")
    checkout.write("small/base.lock", base_images.write("small", {PIXI: ONE, DEBIAN: TWO}))
    base, runtime = found(checkout)
    assert (base.location, base.digest, base.has_pixi) == ("'base' in pyproject.toml", ONE, True)
    assert (runtime.location, runtime.digest, runtime.has_pixi) == ("'runtime_base' in small/image.toml", TWO, False)
    assert base.remedy == runtime.remedy == "dagger call lock --image small"
    assert by_repository([base, runtime, base]) == {
        "ghcr.io/prefix-dev/pixi": ["noble"],
        "docker.io/library/debian": ["bookworm-slim"],
    }


def test_a_digest_in_image_toml_is_changed_there(checkout: CheckoutFolder) -> None:
    """No command does that."""
    checkout.write("small/image.toml", f"description = 'x'\nbase = '{PIXI}@{ONE}'\n")
    (base,) = found(checkout)
    assert (base.digest, base.remedy) == (ONE, "'base' in small/image.toml")


def test_what_is_not_locked_has_no_digest(checkout: CheckoutFolder) -> None:
    """Neither without a base.lock, nor in a Dockerfile, whose own digests count."""
    assert [base.digest for base in found(checkout)] == [""]
    checkout.write("small/image.toml", "description = 'x'\ndockerfile = 'Dockerfile'\n[build_args]\nTAG = '3'\n")
    text = f"ARG TAG=2\nFROM {DEBIAN} AS build\nFROM python:$TAG@{ONE}\nCOPY --from=build /a /a\n"
    checkout.write("small/Dockerfile", f"{text}COPY --from=busybox:2 /b /b\n")
    first, second, third = found(checkout)
    assert (first.reference, first.digest, first.remedy) == (DEBIAN, "", "FROM in small/Dockerfile")
    assert (third.reference, third.location) == ("busybox:2", "COPY --from in small/Dockerfile")
    assert (second.reference, second.digest, second.has_pixi) == (f"python:3@{ONE}", ONE, False)


def test_a_base_lock_that_does_not_fit_is_refused(checkout: CheckoutFolder) -> None:
    """No registry is asked before."""
    checkout.write("small/base.lock", base_images.write("small", {DEBIAN: ONE}))
    at = {"pyproject.toml": "tool.pipeline.base", "small/base.lock": f'"{DEBIAN}"'}
    with refused(Code.BASE_LOCK_STALE, f"lacks {PIXI}", f"has {DEBIAN}", at=at, kind=LockError):
        found(checkout)


@pytest.mark.asyncio
async def test_packages_of_all_platforms_are_found(checkout: CheckoutFolder) -> None:
    """In each of their versions; what is not of Python is counted."""
    places = {
        "linux-64": [conda("numpy-1.0-h_0", depends="[python]"), conda("zlib-1-h_0"), pypi("foo", "1.0")],
        "linux-aarch64": [conda("numpy-2.0-h_0", "linux-aarch64", depends="[python]")],
    }
    checkout.write("small/pixi.lock", write({"default": places}))
    checkout.write("small/image.toml", "description = 'x'\nplatforms = ['linux/amd64', 'linux/arm64']\n")
    manifest = '[workspace]\nchannels = []\nplatforms = ["linux-64", "linux-aarch64"]\n'
    checkout.write("small/pixi.toml", manifest)
    packages = await find_packages(opened(checkout).image("small"))
    assert packages == Packages({("foo", "1.0"): "foo", ("numpy", "1.0"): "numpy", ("numpy", "2.0"): "numpy"}, others=1)
    assert notes(["small", "own"], {"small": packages}) == [
        "small: 2 of 3 packages are of Python, and were looked up; OSV knows no others of conda",
        "own: what its Dockerfile installs was not looked up, since nothing locks it",
    ]


def test_a_pixi_that_prints_no_version_is_told() -> None:
    """The version is the last word; a program of that name that prints nothing is named with its image."""
    assert read_version("pixi 0.62.2\n", PIXI) == "0.62.2"
    with refused(Code.BASE_IMAGE_UNSUITABLE, "'pixi --version' printed nothing", PIXI, kind=OutdatedError):
        read_version(" \n", PIXI)
