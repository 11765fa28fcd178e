"""An image that the pipeline itself needs is gone: each function ends with one sentence that names it."""

from pathlib import Path
from typing import Final

import pytest

from pipeline.errors import Code
from tests.engine.conftest import Checkout, failure
from tests.engine.publishing import open_shop

#: No registry of the sandbox has it.
GONE: Final = "docker.io/library/gone:1"


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
@pytest.mark.parametrize("function", ["build", "sbom", "report", "smoke_test", "images_sound"])
async def test_the_image_of_the_tools_is_gone(checkout: Checkout, function: str) -> None:
    """No error of the engine reaches a person as it is."""
    checkout.set(fetch_base=GONE)
    arguments = {"image": "small"} if function in {"build", "sbom", "report"} else {}
    error = await failure(checkout, function, None, **arguments)
    assert GONE in error.message
    assert "cannot be pulled: not found; check its name, and that its registry can be reached" in error.message
    assert "traceparent" not in error.message


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_a_file_at_the_path_of_a_folder(checkout: Checkout) -> None:
    """It has the key, and comes with the build and not after it."""
    checkout.write("small/image.toml", 'description = "A small image"\n[[files]]\nsource = "x"\npath = "/etc/ssl"\n')
    checkout.write("small/x", "")
    error = await failure(checkout, "build", image="small")
    assert error.code is Code.KEY_INVALID
    assert error.at == {"small/image.toml": [("files", 0, "path")]}
    assert "/etc/ssl is a folder in the image" in error.message


@pytest.mark.asyncio
async def test_the_image_of_the_client_for_registries_is_gone(tmp_path: Path) -> None:
    """Nothing is built, and each registry has the reason."""
    shop = open_shop(tmp_path, tries=1)
    shop.checkout.set(regctl=GONE)
    outcome = await shop.publish()
    assert outcome.failure
    assert GONE in outcome.failure or all(GONE in outcome.reason(name) for name in shop.repositories)


@pytest.mark.asyncio
async def test_the_image_of_the_signer_is_gone(tmp_path: Path) -> None:
    """Nothing is pushed."""
    shop = open_shop(tmp_path)
    shop.checkout.set(cosign=GONE)
    key = tmp_path / "key"
    key.write_text("no key")
    error = await shop.refusal(typed={"signing_key": f"file:{key}"})
    assert f"image {GONE}, which a step needs, cannot be pulled: not found" in error.message
    assert not any(shop.standing())
