"""Errors of a person: one sentence with file, key or image and the remedy; no traceback."""

import re

import pytest

from tests.engine.conftest import Checkout, refused

DESCRIPTION = 'description = "A small image"\n'


def test_an_image_that_does_not_exist(checkout: Checkout) -> None:
    """The message has the nearest name, and is all that the shell shows at its end."""
    message = checkout.refusal("build", "--image", "smal")
    assert message == "there is no image 'smal' (no smal/image.toml); did you mean 'small'?"


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_an_unknown_key(checkout: Checkout) -> None:
    """The message has the nearest key."""
    checkout.write("small/image.toml", DESCRIPTION + 'enviroment = "default"\n')
    message = await refused(checkout, "build", image="small")
    assert message == "small/image.toml: unknown key 'enviroment'; did you mean 'environment'?"


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_a_missing_lock(checkout: Checkout) -> None:
    """The file is named, and how to get it."""
    (checkout.path / "small/pixi.lock").unlink()
    message = await refused(checkout, "build", image="small")
    assert message.startswith("small/pixi.lock is missing")
    assert "run 'dagger call lock --image small'" in message


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_an_unparsable_lock(checkout: Checkout) -> None:
    """The file and the place in it are named."""
    checkout.write("small/pixi.lock", "version: [\n")
    message = await refused(checkout, "build", image="small")
    assert message.startswith("small/pixi.lock cannot be read: ")
    assert "line 2" in message


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_a_lock_that_lacks_a_package(checkout: Checkout) -> None:
    """The package that was added to the manifest is named, before anything is installed."""
    checkout.write("small/pixi.toml", checkout.read("small/pixi.toml") + 'numpy = "*"\n')
    message = await refused(checkout, "build", image="small")
    assert message.startswith("small/pixi.lock does not match small/pixi.toml (pixi: the dependencies of environment")
    assert "numpy" in message
    assert message.endswith("run 'dagger call lock --image small' and commit pixi.lock")


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_a_lock_that_only_pixi_finds_stale(checkout: Checkout) -> None:
    """Changed channels are reported as well, by their own reason."""
    manifest = checkout.read("small/pixi.toml").replace('["conda-forge"]', '["conda-forge", "bioconda"]')
    checkout.write("small/pixi.toml", manifest)
    message = await refused(checkout, "build", image="small")
    assert message.startswith("small/pixi.lock does not match small/pixi.toml (pixi: ")


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_an_environment_that_the_lock_lacks(checkout: Checkout) -> None:
    """A new environment of the manifest needs a new lock."""
    checkout.write("small/image.toml", DESCRIPTION + 'environment = "extra"\n')
    checkout.write("small/pixi.toml", checkout.read("small/pixi.toml") + "[environments]\nextra = []\n")
    message = await refused(checkout, "build", image="small")
    assert message.startswith("small/pixi.lock has no environment 'extra', which small/image.toml names")


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_a_package_that_fails_to_download(checkout: Checkout) -> None:
    """The message has package, address, answer and remedy."""
    lock = checkout.read("small/pixi.lock").replace("/linux-64/python-3.12.", "/linux-64/python-gone-3.12.")
    # Under its old hash the package would be found in the cache, and rightly so.
    checkout.write("small/pixi.lock", re.sub(r"sha256: [0-9a-f]{64}", f"sha256: {'a1' * 32}", lock))
    message = await refused(checkout, "build", image="small")
    assert re.match(r"small: 1 of \d+ packages of small/pixi\.lock could not be fetched: python-3\.12\.", message)
    assert "https://conda.anaconda.org/conda-forge/linux-64/python-gone-3.12." in message
    assert "404" in message
    assert "run 'dagger call lock --image small'" in message


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_a_wrong_hash(checkout: Checkout) -> None:
    """A package that is not the locked one is not installed; the message has both hashes."""
    lock = re.sub(r"sha256: [0-9a-f]{64}", f"sha256: {'0' * 64}", checkout.read("small/pixi.lock"))
    checkout.write("small/pixi.lock", lock)
    message = await refused(checkout, "build", image="small")
    assert f"but {'0' * 64} is locked" in message
    assert "do not trust the channel" in message


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_a_base_image_that_does_not_exist(checkout: Checkout) -> None:
    """The address and the key are named."""
    checkout.write("small/image.toml", DESCRIPTION + 'base = "ghcr.io/prefix-dev/pixi:nobel"\n')
    message = await refused(checkout, "build", image="small")
    assert message.startswith("small: base image ghcr.io/prefix-dev/pixi:nobel cannot be pulled: ")
    assert "check 'base' in small/image.toml" in message


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_a_wrong_probe(checkout: Checkout) -> None:
    """The key is named as it stands in the file, and how to write it."""
    checkout.write("small/image.toml", DESCRIPTION + '[[probes.commands]]\ncommand = "git --version"\n')
    message = await refused(checkout, "smoke_test", image="small")
    assert message == (
        "small/image.toml: key 'probes.commands.0.command': no shell splits a command here; "
        'write a list of its words: ["git", "--version"]'
    )


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_a_file_that_is_not_there(checkout: Checkout) -> None:
    """The message has the key that names it."""
    checkout.write("small/image.toml", DESCRIPTION + "[[files]]\nsource = 'config'\npath = '/etc/config'\n")
    message = await refused(checkout, "build", image="small")
    assert message.startswith(
        "small/image.toml: key 'files.0.source': there is no file small/config; add it or correct"
    )


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_a_file_outside_of_the_folder(checkout: Checkout) -> None:
    """Dots do not bring a file from elsewhere into an image."""
    checkout.write("secret", "")
    checkout.write("small/image.toml", DESCRIPTION + "[[files]]\nsource = '../secret'\npath = '/etc/config'\n")
    assert await refused(checkout, "build", image="small") == (
        "small/image.toml: key 'files.0.source': '../secret' leaves the image's folder; name a file inside it"
    )


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_cuda_versions_that_disagree(checkout: Checkout) -> None:
    """Both files are named, with the version that each has."""
    checkout.write("small/image.toml", DESCRIPTION + 'cuda = "11.8"\n')
    manifest = checkout.read("small/pixi.toml")
    checkout.write("small/pixi.toml", manifest + '[system-requirements]\ncuda = "12.8"\n')
    message = await refused(checkout, "build", image="small")
    assert message.startswith(
        "small/image.toml: key 'cuda' is 11.8, but environment 'default' of small/pixi.toml requires CUDA 12.8"
    )


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
@pytest.mark.parametrize("function", ["build", "smoke_test"])
async def test_a_spec_that_is_not_toml(checkout: Checkout, function: str) -> None:
    """The message has the place in the file, whichever function read it."""
    checkout.write("small/image.toml", "description = A small image\n")
    message = await refused(checkout, function, image="small")
    assert message.startswith("small/image.toml is not valid TOML: Invalid value (at line 1, column 15)")
