"""A registry that takes images and nothing that is attached to them."""

from pathlib import Path
from typing import Final

import pytest

from tests.engine.publishing import FIXED, MOVING, digest_of, open_shop
from tests.engine.test_attestations import CYCLONEDX, IN_TOTO, SPDX, referrers
from tests.sandbox import faults

pytestmark = pytest.mark.asyncio

#: Refuses manifests of what is attached, and takes those of images.
REFUSING: Final = """
from mitmproxy import http


def request(flow):
    if flow.request.method == "PUT" and b'"subject"' in flow.request.content:
        flow.response = http.Response.make(403, b'{"errors":[{"code":"DENIED","message":"no attachments here"}]}')
"""


async def test_a_registry_that_takes_no_attachments(tmp_path: Path) -> None:
    """It has the immutable tags, the others have everything but the floating ones, and the same command finishes it."""
    shop = open_shop(tmp_path, timeout=60, tries=2, seconds=2)
    addon = tmp_path / "addon.py"
    addon.write_text(REFUSING)
    with faults.mitmproxy("ghcr.io", addon):
        outcome = await shop.publish()
    refusing, *others = shop.repositories
    assert f"SBOM (CycloneDX) in {refusing}" in outcome.failure
    assert outcome.reason(refusing) == "attaching SBOM (CycloneDX) failed: DENIED: no attachments here"
    assert [set(tags) for tags in shop.standing()] == [set(FIXED)] * 3
    assert outcome.of(refusing)["provenance"] == "missing"
    assert {outcome.of(other)["provenance"] for other in others} == {"pushed"}
    outcome = await shop.publish()
    assert outcome.failure == ""
    assert [set(tags) for tags in shop.standing()] == [{*FIXED, *MOVING}] * 3
    assert referrers(refusing, digest_of(refusing, "latest")).keys() == {CYCLONEDX, SPDX, IN_TOTO}
