"""Registries that fail in every way that they do: tags of the others, the report, and that the next run finishes.

Proxies for faults stand in front of real registries: one for connections, and one that answers instead of them. Cases
that do not touch each other share a publication, each with a repository of its own.
"""

import re
import secrets
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from pipeline.errors import PipelineError
from tests.engine.publishing import FIXED, MOVING, SPEC, Outcome, Shop, digest_of, open_shop, tags_of
from tests.sandbox import faults
from tests.sandbox.machine import Machine
from tests.sandbox.state import current

pytestmark = pytest.mark.asyncio

ALL: Final = {*FIXED, *MOVING}
#: Seconds in which a registry has to answer that does: a busy machine takes its time. Where none does, the test waits.
TIMEOUT: Final = 60
#: The same where one of many repositories is silent, and is waited for.
SILENT: Final = 15

#: Answers instead of a registry, by the second part of a repository's name.
ADDON: Final = """
import asyncio
from collections import Counter

from mitmproxy import http

ALWAYS = {
    "busy": (503, {}, b""),
    "limited": (429, {"Retry-After": "1"}, b""),
    "limited-for-hours": (429, {"Retry-After": "3600"}, b""),
    "broken": (500, {}, b""),
    "forbidden": (403, {}, b'{"errors":[{"code":"DENIED","message":"not for you"}]}'),
    "unknown": (404, {}, b'{"errors":[{"code":"NAME_UNKNOWN","message":"no such project"}]}'),
    "unauthorized": (401, {}, b""),
    "immutable": (412, {}, b'{"errors":[{"code":"PRECONDITION","message":"latest configured as immutable."}]}'),
}
FOR_A_WHILE = {
    "busy-for-a-while": (2, 503, {}, b""),
    "limited-for-a-while": (1, 429, {"Retry-After": "2"}, b""),
    "lost-layer": (1, 404, {}, b'{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry"}]}'),
}
UPLOAD_UNKNOWN = b'{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN","message":"blob upload unknown to registry"}]}'
seen = Counter()
lost = []


async def request(flow):
    parts = flow.request.path.split("?")[0].split("/")
    if len(parts) < 6:
        return
    case, method = parts[3], flow.request.method
    if case == "not-allowed" and method == "POST":
        status, headers, body = ALWAYS["forbidden"]
        flow.response = http.Response.make(status, body, headers)
    if case == "lost-upload" and method in ("PUT", "PATCH") and "uploads" in parts:
        # The first one that is neither the question whether one may push nor passed on while it comes in.
        if not lost and 100 < int(flow.request.headers.get("Content-Length", 0)) < 1_000_000:
            lost.append(parts)
        if parts in lost:
            flow.response = http.Response.make(404, UPLOAD_UNKNOWN)
    if method != "PUT" or parts[-2] != "manifests":
        return
    if case == "silent":
        await asyncio.sleep(60)
    if case in ALWAYS:
        status, headers, body = ALWAYS[case]
        flow.response = http.Response.make(status, body, headers)
    if case in FOR_A_WHILE:
        times, status, headers, body = FOR_A_WHILE[case]
        seen[case] += 1
        if seen[case] <= times:
            flow.response = http.Response.make(status, body, headers)


def response(flow):
    parts = flow.request.path.split("/")
    if len(parts) > 5 and parts[3] == "another-digest" and flow.request.method == "GET" and parts[-2] == "manifests":
        flow.response.content = flow.response.content + b" "
"""

#: The reason reported of a repository with a permanent failure of a push, and the fewest and most tries.
LASTING: Final = {
    "busy": ("it answered 503 (Service Unavailable) to PUT", 2, 4),
    "limited": ("it answered 429 (Too Many Requests) to PUT", 2, 8),
    "limited-for-hours": ("to be asked again after 3600 s", 1, 1),
    "broken": ("it answered 500 (Internal Server Error) to PUT", 2, 8),
    "forbidden": ("DENIED: not for you", 1, 1),
    "unknown": ("NAME_UNKNOWN: no such project", 1, 1),
    "unauthorized": ("unauthorized", 1, 1),
    "immutable": ("PRECONDITION: latest configured as immutable.", 1, 1),
    "silent": (f"it did not answer within {SILENT} s", 2, 8),
    "another-digest": ("reading 2026.2.0 back failed", 1, 1),
}
TRANSIENT: Final = {"busy-for-a-while": 3, "limited-for-a-while": 2, "lost-layer": 2, "lost-upload": 2}


def open_cases(folder: Path, cases: list[str]) -> Shop:
    """A repository of ghcr.io for each case, and one of another registry that always works."""
    name = f"test-{secrets.token_hex(4)}"
    shop = open_shop(folder, hosts=(), timeout=SILENT, tries=4, seconds=9)
    shop.registries = (*(f"ghcr.io/{name}/{case}" for case in cases), f"docker.io/{name}")
    names = ", ".join(f'"{repository}"' for repository in shop.repositories)
    shop.checkout.write("tiny/image.toml", f"repositories = [{names}]\n{SPEC}")
    return shop


def require_kept(shop: Shop, outcome: Outcome, *, failed: list[str]) -> None:
    """The registries that work hold the immutable tags, no tag has moved anywhere, and the sentence says what to do."""
    assert "run the same command again: it finishes what is missing" in outcome.failure
    digests = set()
    for repository in shop.repositories:
        tags = tags_of(repository)
        assert not set(tags) & set(MOVING), repository
        assert outcome.results("latest") == {"not moved"}
        if repository not in failed:
            assert set(tags) == set(FIXED), repository
            assert set(outcome.of(repository).values()) <= {"pushed", "already there", "not moved"}
            digests |= set(tags.values())
        else:
            assert f"{repository}:2026.2.0" in outcome.failure
    assert len(digests) == 1


def require_reasons(outcome: Outcome, pattern: str, repositories: list[str]) -> None:
    """Each of these repositories failed for a reason that matches the pattern."""
    others = {repository: outcome.reason(repository) for repository in repositories}
    assert {repository: reason for repository, reason in others.items() if not re.search(pattern, reason)} == {}


async def require_finished(shop: Shop) -> None:
    """The same command again, with the faults gone, puts every tag where it belongs."""
    outcome = await shop.publish()
    assert outcome.failure == ""
    found = shop.standing()
    assert [set(tags) for tags in found] == [ALL] * len(found)
    assert len({digest for tags in found for digest in tags.values()}) == 1


async def test_registries_that_answer_wrongly(tmp_path: Path) -> None:
    """503, 429, 500, 403, 404, 401, 412, silence and another digest while an image is pushed: ten cases of them.

    Transient failures are retried up to a limit, permanent ones are final at once. 503 twice, 429 with Retry-After, a
    lost layer and a lost upload need only be waited for; the report counts the tries.
    """
    shop = open_cases(tmp_path, [*LASTING, *TRANSIENT])
    addon = tmp_path / "addon.py"
    addon.write_text(ADDON)
    with faults.mitmproxy("ghcr.io", addon):
        outcome = await shop.publish()
    failed, (*waited, served) = shop.repositories[: len(LASTING)], shop.repositories[len(LASTING) :]
    reasons = {repository.split("/")[2]: outcome.reason(repository) for repository in failed}
    assert {case: reason for case, reason in reasons.items() if LASTING[case][0] not in reason} == {}
    tries = {
        case: int(found[1]) if (found := re.search(r"(\d+) tries in ", reason)) else 1
        for case, reason in reasons.items()
    }
    assert {case: count for case, count in tries.items() if not LASTING[case][1] <= count <= LASTING[case][2]} == {}
    rows = {row["repository"]: row for row in outcome.rows if row["tag"] == "2026.2.0"}
    assert [rows[repository]["tries"] for repository in (*waited, served)] == [*TRANSIENT.values(), 1]
    assert rows[waited[1]]["seconds"] >= 2
    # What was put before it was read back, is there, and is what was built.
    lied = failed[list(LASTING).index("another-digest")]
    assert digest_of(lied, "2026.2.0") == digest_of(served, "2026.2.0")
    require_kept(shop, outcome, failed=failed)
    rule = f"a tag immutability rule of {failed[list(LASTING).index('immutable')]} holds 2026.2.0: exclude 2026.2.0"
    assert rule in outcome.failure
    await require_finished(shop)


async def test_a_repository_that_may_not_be_pushed_to(tmp_path: Path) -> None:
    """It is found before the build, so no registry gets anything; when it is allowed, the same command publishes."""
    shop = open_cases(tmp_path, ["not-allowed"])
    dockerfile = shop.checkout.read("tiny/Dockerfile")
    shop.checkout.write("tiny/Dockerfile", "this is not built\n")
    addon = tmp_path / "addon.py"
    addon.write_text(ADDON)
    with faults.mitmproxy("ghcr.io", addon), pytest.raises(PipelineError, match="DENIED: not for you"):
        await shop.publish()
    assert shop.standing() == [{}, {}]
    shop.checkout.write("tiny/Dockerfile", dockerfile)
    await require_finished(shop)


async def test_a_connection_that_is_cut_in_a_layer_and_a_registry_that_is_down(tmp_path: Path) -> None:
    """Each connection ends after a megabyte; another registry takes none. The third one has the image."""
    shop = open_shop(tmp_path, timeout=TIMEOUT, tries=4, seconds=9)
    with faults.toxiproxy("ghcr.io") as cut, faults.toxiproxy("hub.opensciencegrid.org") as down:
        cut.add("limit_data", stream="upstream", bytes=1_000_000)
        down.down()
        outcome = await shop.publish()
    failed = [shop.repositories[0], shop.repositories[2]]
    # The web server may notice the cut first, and still have time to answer.
    cut_off = r"the connection failed \(|it answered 502 \(Bad Gateway\) to PATCH"
    require_reasons(outcome, cut_off, failed[:1])
    require_reasons(outcome, r"the connection failed \(", failed[1:])
    require_kept(shop, outcome, failed=failed)
    await require_finished(shop)


async def test_a_slow_registry_and_a_silent_one(tmp_path: Path) -> None:
    """One takes a few kilobytes a second, another one takes all and says nothing: both end, and the third is served."""
    shop = open_shop(tmp_path, timeout=10, tries=3, seconds=9)
    with faults.toxiproxy("ghcr.io") as slow, faults.toxiproxy("hub.opensciencegrid.org") as silent:
        slow.add("bandwidth", stream="upstream", rate=10)
        silent.add("timeout", timeout=0)
        outcome = await shop.publish()
    failed = [shop.repositories[0], shop.repositories[2]]
    require_reasons(outcome, "did not answer within 10 s", failed)
    require_kept(shop, outcome, failed=failed)
    await require_finished(shop)


async def test_a_connection_that_is_cut_once(tmp_path: Path) -> None:
    """A layer whose upload is cut is sent again, in the same run."""
    shop = open_shop(tmp_path, timeout=20, tries=20, seconds=60)
    log = current().log / "ghcr.io.access.log"
    before = log.stat().st_size
    # The web server writes a line when a request has ended: this one not as a layer that was taken does.
    cut = re.compile(rf'"PATCH /v2/{shop.registries[0].partition("/")[2]}/tiny/blobs/uploads/[^"]*" (?!202 )')

    def heal(proxy: faults.Toxiproxy, ended: threading.Event) -> None:
        """Wait until a layer was cut, and let connections live from then on."""
        while not cut.search(log.read_text(), before) and not ended.wait(0.1):
            pass
        proxy.heal()

    with faults.toxiproxy("ghcr.io") as proxy:
        proxy.add("limit_data", stream="upstream", bytes=1_000_000)
        ended = threading.Event()
        healing = threading.Thread(target=heal, args=(proxy, ended))
        healing.start()
        outcome = await shop.publish()
        ended.set()
        healing.join()
    assert outcome.failure == ""
    tries = [row["tries"] for row in outcome.rows if row["tag"] == "2026.2.0"]
    assert tries[0] > 1
    assert tries[1:] == [1, 1]


async def test_no_registry_at_all(tmp_path: Path) -> None:
    """If no registry can be reached, nothing is built."""
    shop = open_shop(tmp_path, hosts=["hub.opensciencegrid.org"], timeout=2, tries=2, seconds=2)
    shop.checkout.write("tiny/Dockerfile", "this is not built\n")
    with faults.toxiproxy("hub.opensciencegrid.org") as proxy:
        proxy.down()
        outcome = await shop.publish()
    assert outcome.failure.startswith("nothing was built, because no registry can be reached: ")


@contextmanager
def a_full_disk(host: str, size: str) -> Iterator[None]:
    """Give the storage of a registry so much space and no more, for a while."""
    machine, folder = Machine(current()), current().registry / host
    subprocess.run(machine.command(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]), check=True)
    try:
        yield
    finally:
        subprocess.run(machine.command(["umount", "--lazy", str(folder)]), check=True)


async def test_a_full_disk(tmp_path: Path) -> None:
    """A registry without space takes small blobs and not the layers; with space again, the same command finishes."""
    shop = open_shop(tmp_path, timeout=TIMEOUT, tries=4, seconds=9)
    with a_full_disk("hub.opensciencegrid.org", "20m"):
        outcome = await shop.publish()
    # 500 of the registry itself, or 502 of the web server where the registry hangs up in the middle.
    assert re.search(r"it answered 50[02] \(", outcome.reason(shop.repositories[2]))
    require_kept(shop, outcome, failed=[shop.repositories[2]])
    await require_finished(shop)
