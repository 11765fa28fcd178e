"""The content of an image is written down, in both formats, and an image that has something else is refused."""

import json

import pytest

from tests.engine.conftest import Checkout, answer, refused


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_a_bill_of_materials_is_written(checkout: Checkout) -> None:
    """CycloneDX and SPDX name the same packages: those of the lock and those of the base."""
    found = json.loads(await (await answer(checkout, "sbom", image="small")).contents())
    urls = {component["purl"] for component in found["components"]}
    assert found["metadata"]["component"]["name"] == "small"
    assert any(url.startswith("pkg:conda/python@3.12.") for url in urls)
    assert any(url.startswith("pkg:deb/debian/bash@") for url in urls)

    ended = checkout.call("sbom", "--image", "small", "--format", "spdx", "export", "--path", "small.spdx.json")
    assert ended.returncode == 0, ended.stderr
    packages = json.loads(checkout.read("small.spdx.json"))["packages"]
    assert {ref["referenceLocator"] for package in packages for ref in package.get("externalRefs", [])} == urls


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_an_image_with_something_else_is_refused(checkout: Checkout) -> None:
    """A file of image.toml that looks like an installed package was not locked."""
    checkout.write("small/METADATA", "Metadata-Version: 2.1\nName: stowaway\nVersion: 1.0\n")
    place = "/app/.pixi/envs/default/lib/python3.12/site-packages/stowaway-1.0.dist-info/METADATA"
    checkout.write(
        "small/image.toml",
        f'description = "A small image"\n[[files]]\nsource = "METADATA"\npath = "{place}"\n',
    )
    message = await refused(checkout, "sbom", image="small")
    assert message.startswith(
        "small: what is in the image is not what small/pixi.lock holds: stowaway 1.0 is there, and not locked; "
    )
