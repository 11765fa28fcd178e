"""Registries whose connections or disks fail: tags of the others, the report, and that the next run finishes.

Each test has its own proxies in front of real registries. One registry works: it is the one that has the image.
"""

import re
import threading
from pathlib import Path
from typing import Final

import pytest

from tests.engine.publishing import Outcome, open_shop, require_finished, require_kept
from tests.sandbox import faults
from tests.sandbox.state import current

pytestmark = pytest.mark.asyncio

#: Seconds in which a registry has to answer that does: a busy machine takes its time. Where none does, the test waits.
TIMEOUT: Final = 60


def require_reasons(outcome: Outcome, pattern: str, repositories: list[str]) -> None:
    """Each of these repositories failed for a reason that matches the pattern."""
    others = {repository: outcome.reason(repository) for repository in repositories}
    assert {repository: reason for repository, reason in others.items() if not re.search(pattern, reason)} == {}


async def test_a_cut_connection_a_registry_that_is_down_and_a_full_disk(tmp_path: Path) -> None:
    """Each connection to one registry ends after a megabyte, one takes none, and one has no space for the layers.

    The fourth one has the image; with the faults gone, the same command finishes.
    """
    disk = tmp_path / "disk"
    disk.mkdir()
    with (
        faults.toxiproxy("ghcr.io") as cut,
        faults.toxiproxy("hub.opensciencegrid.org") as down,
        faults.small_registry("hub.opensciencegrid.org", disk, "20m") as full,
    ):
        hosts = (cut.registry, down.registry, full.registry, "docker.io")
        shop = open_shop(tmp_path / "checkout", hosts=hosts, timeout=TIMEOUT, tries=4, seconds=9)
        cut.add("limit_data", stream="upstream", bytes=1_000_000)
        down.down()
        outcome = await shop.publish()
        failed = shop.repositories[:3]
        # The web server may notice the cut first, and still have time to answer.
        cut_off = r"the connection failed \(|it answered 502 \(Bad Gateway\) to PATCH"
        require_reasons(outcome, cut_off, failed[:1])
        require_reasons(outcome, r"the connection failed \(", failed[1:2])
        # Or it hangs up in the middle.
        require_reasons(outcome, r"it answered 500 \(|the connection failed \(", failed[2:])
        cut.heal()
        down.heal()
        require_kept(shop, outcome, failed=failed)
        full.grow("1g")
        await require_finished(shop)


async def test_a_slow_registry_and_a_silent_one(tmp_path: Path) -> None:
    """One takes a few kilobytes a second, another one takes all and says nothing: both end, and the third is served."""
    with faults.toxiproxy("ghcr.io") as slow, faults.toxiproxy("hub.opensciencegrid.org") as silent:
        hosts = (slow.registry, silent.registry, "docker.io")
        shop = open_shop(tmp_path, hosts=hosts, timeout=10, tries=3, seconds=9)
        slow.add("bandwidth", stream="upstream", rate=10)
        silent.add("timeout", timeout=0)
        outcome = await shop.publish()
        failed = shop.repositories[:2]
        require_reasons(outcome, "did not answer within 10 s", failed)
        slow.heal()
        silent.heal()
        require_kept(shop, outcome, failed=failed)
        await require_finished(shop)


async def test_a_connection_that_is_cut_once(tmp_path: Path) -> None:
    """A layer whose upload is cut is sent again, in the same run."""
    log = current().log / "ghcr.io.access.log"
    before = log.stat().st_size

    def heal(proxy: faults.Toxiproxy, path: str, ended: threading.Event) -> None:
        """Wait until a layer was cut, and let connections live from then on."""
        # The web server writes a line when a request has ended: this one not as a layer that was taken does.
        cut = re.compile(rf'"PATCH /v2/{path}/tiny/blobs/uploads/[^"]*" (?!202 )')
        while not cut.search(log.read_text(), before) and not ended.wait(0.1):
            pass
        proxy.heal()

    with faults.toxiproxy("ghcr.io") as proxy:
        shop = open_shop(tmp_path, hosts=(proxy.registry, "hub.opensciencegrid.org"), timeout=20, tries=20, seconds=60)
        proxy.add("limit_data", stream="upstream", bytes=1_000_000)
        ended = threading.Event()
        healing = threading.Thread(target=heal, args=(proxy, shop.registries[0].partition("/")[2], ended))
        healing.start()
        outcome = await shop.publish()
        ended.set()
        healing.join()
    assert outcome.failure == ""
    tries = [row["tries"] for row in outcome.rows if row["tag"] == "2026.2.0"]
    assert tries[0] > 1
    assert tries[1:] == [1]


async def test_no_registry_at_all(tmp_path: Path) -> None:
    """If no registry can be reached, nothing is built."""
    # Nothing listens there.
    shop = open_shop(tmp_path, hosts=["hub.opensciencegrid.org:9"], timeout=2, tries=2, seconds=2)
    shop.checkout.write("tiny/Dockerfile", "this is not built\n")
    outcome = await shop.publish()
    assert outcome.failure.startswith("nothing was built, because no registry can be reached: ")
