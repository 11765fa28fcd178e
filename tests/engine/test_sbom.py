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


#: An image with what pip installed, and with an RPM database, whose format is its own rpm's affair.
DOCKERFILE = """\
FROM docker.io/library/python:3.12-slim
COPY rpm /usr/bin/rpm
RUN chmod 755 /usr/bin/rpm && mkdir -p /var/lib/rpm && touch /var/lib/rpm/rpmdb.sqlite
"""
RPM = "#!/bin/sh\nprintf 'P\\tzlib\\t1\\t1.2.11-5.el9\\tx86_64\\tzlib-1.2.11-5.el9.src.rpm\\tzlib\\n'\n"


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_all_packages_of_a_dockerfile_are_listed(checkout: Checkout) -> None:
    """Those of pip and of RPM; an RPM database that cannot be read is a failure, and no empty document."""
    checkout.write("small/image.toml", 'description = "Of a Dockerfile"\ndockerfile = "Dockerfile"\n')
    checkout.write("small/Dockerfile", DOCKERFILE)
    checkout.write("small/rpm", RPM)
    found = json.loads(await (await answer(checkout, "sbom", image="small")).contents())
    urls = {component["purl"] for component in found["components"]}
    assert {url.partition("/")[0] for url in urls} == {"pkg:deb", "pkg:pypi", "pkg:rpm"}
    assert any(url.startswith("pkg:pypi/pip@") for url in urls)
    (zlib,) = (url for url in urls if url.startswith("pkg:rpm/"))
    assert "/zlib@1.2.11-5.el9?arch=x86_64" in zlib

    checkout.write("small/Dockerfile", DOCKERFILE + "RUN rm /usr/bin/rpm\n")
    message = await refused(checkout, "sbom", image="small")
    assert message.startswith("small: its RPM database /var/lib/rpm/rpmdb.sqlite cannot be read: ")
