"""The page about an image is drawn, from what is known of it."""

import pytest

from tests.engine.conftest import Checkout, refused


def test_a_page_is_drawn(checkout: Checkout) -> None:
    """With its packages, its probes, and what changed; registries that do not list their tags are named."""
    checkout.write("small/image.toml", 'description = "A small image"\n[probes]\nscripts = ["python"]\n')
    checkout.write("previous.lock", checkout.read("small/pixi.lock"))
    options = ("--from-file", "previous.lock", "--probes")
    ended = checkout.call("report", "--image", "small", *options, "export", "--path", "small.html")
    assert ended.returncode == 0, ended.stderr
    text = checkout.read("small.html")
    assert text.startswith("<!DOCTYPE html>")
    assert '<th scope="row">python</th>' in text
    assert '<td class="good">passed</td>' in text
    assert "The same packages are locked as in previous.lock." in text
    assert "<h3>ghcr.io/maniaclab/small</h3>" in text


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_an_earlier_lock_that_is_not_there_is_said(checkout: Checkout) -> None:
    """A page without the changes that were asked for is none."""
    message = await refused(checkout, "report", image="small", reference="v1")
    assert message.startswith("the checkout has no folder .git to look up 'v1' in")
