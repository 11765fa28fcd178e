"""Errors in the files, Dockerfile, platforms and name of an image: one sentence each."""

import re

import pytest

from tests.engine.conftest import Checkout, answer, refused
from tests.engine.kinds import DEBIAN, PINNED

DESCRIPTION = 'description = "A small image"\n'


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_a_fetched_file_that_is_another_one(checkout: Checkout) -> None:
    """The message has file, key, address and both hashes, and the remedy."""
    checkout.write(
        "small/image.toml", f'{DESCRIPTION}[[files]]\nurl = "{PINNED}"\nsha256 = "{"0" * 64}"\npath = "/pinned"\n'
    )
    message = await refused(checkout, "build", image="small")
    assert re.fullmatch(
        rf"small/image\.toml: key 'files\.0\.sha256': {re.escape(PINNED)} has [0-9a-f]{{64}}, but {'0' * 64} is "
        r"pinned; if the file was meant to change, pin its new hash, otherwise do not trust the address",
        message,
    )


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_a_file_that_cannot_be_fetched(checkout: Checkout) -> None:
    """The message has the key and the address, and the server's answer."""
    gone = PINNED.replace("repodata", "gone")
    checkout.write(
        "small/image.toml", f'{DESCRIPTION}[[files]]\nurl = "{gone}"\nsha256 = "{"0" * 64}"\npath = "/pinned"\n'
    )
    message = await refused(checkout, "build", image="small")
    assert message.startswith(f"small/image.toml: key 'files.0.url': {gone} cannot be fetched: ")
    assert "404" in message


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_a_symlink_that_leaves_the_folder(checkout: Checkout) -> None:
    """The message has the key and the link; the link's target is not read."""
    checkout.write("small/image.toml", f'{DESCRIPTION}[[files]]\nsource = "config"\npath = "/etc/config"\n')
    (checkout.path / "small/config").symlink_to("../pyproject.toml")
    message = await refused(checkout, "build", image="small")
    assert message == (
        "small/image.toml: key 'files.0.source': small/config leaves the image's folder by a symlink; "
        "put the file itself there"
    )


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_a_key_of_the_other_kind(checkout: Checkout) -> None:
    """A Dockerfile says itself what it is built on."""
    checkout.write("small/image.toml", f'{DESCRIPTION}dockerfile = "Dockerfile"\nbase = "{DEBIAN}"\n')
    message = await refused(checkout, "build", image="small")
    assert message == (
        "small/image.toml: key 'base' is of an image that pixi installs, but 'dockerfile' is there; "
        "leave one of the two out"
    )


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            f"FROM {DEBIAN}\nRUN exit 3\n",
            r'was not built: process "/bin/sh -c exit 3" .*exit code: 3; correct it there',
        ),
        ("FORM debian\n", "was not built: .*FORM"),
    ],
    ids=["step", "word"],
)
async def test_a_dockerfile_that_does_not_build(checkout: Checkout, text: str, message: str) -> None:
    """The message has the file, and the step that failed and how; the step's output is in the log."""
    checkout.write("small/image.toml", f'{DESCRIPTION}dockerfile = "Dockerfile"\n')
    checkout.write("small/Dockerfile", text)
    sentence = await refused(checkout, "build", image="small")
    assert re.match(rf"small: small/Dockerfile {message}", sentence), sentence


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_a_platform_that_the_image_does_not_have(checkout: Checkout) -> None:
    """The message has the image's platforms."""
    message = await refused(checkout, "build", image="small", platform="linux/arm64")
    assert message == "small/image.toml: key 'platforms' does not have 'linux/arm64'; did you mean 'linux/amd64'?"


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_a_platform_that_the_lock_does_not_have(checkout: Checkout) -> None:
    """The message has conda's name of it, and the place to add it before it can be locked."""
    checkout.write("small/image.toml", f'{DESCRIPTION}platforms = ["linux/amd64", "linux/arm64"]\n')
    message = await refused(checkout, "build", image="small", platform="linux/arm64")
    assert message == (
        "small/pixi.toml: 'platforms' of environment 'default' does not have linux-aarch64, for which the image is "
        'built; add "linux-aarch64" there'
    )


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_a_new_image_where_one_is(checkout: Checkout) -> None:
    """Nothing that is there is overwritten."""
    message = await refused(checkout, "scaffold", name="small")
    assert message == ("there is an image 'small' already, and small/image.toml is kept as it is; choose another name")
    assert "A small image" in checkout.read("small/image.toml")


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_a_new_image_is_written_beside_the_others(checkout: Checkout) -> None:
    """If a person agrees, the folder is there, and is an image."""
    ended = checkout.call("scaffold", "--name", "my-tool", "--kind", "DOCKERFILE", "--auto-apply")
    assert ended.returncode == 0, ended.stderr
    assert "ENV PATH=/opt/my-tool/bin" in checkout.read("my-tool/Dockerfile")
    listed = await answer(checkout, "images")
    assert [line.split()[0] for line in listed.splitlines()] == ["my-tool", "small"]
