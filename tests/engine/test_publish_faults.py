"""Registries that answer wrongly: tags of the others, the report, and that the next run finishes.

A proxy stands in front of a real registry, and answers instead of it until it is healed. Cases that do not touch each
other share a publication, each with a repository of its own.
"""

import re
import secrets
from pathlib import Path
from typing import Final

import pytest

from pipeline.errors import PipelineError
from tests.engine.publishing import SPEC, Shop, digest_of, open_shop, require_finished, require_kept
from tests.sandbox import faults

pytestmark = pytest.mark.asyncio

#: Seconds in which a registry has to answer: one of the repositories is silent, and is waited for.
SILENT: Final = 15

#: Answers instead of a registry, by the second part of a repository's name; until there is a file `healed` beside it.
ADDON: Final = """
import asyncio
from collections import Counter
from pathlib import Path

from mitmproxy import http

HEALED = Path(__file__).with_name("healed")
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
    if len(parts) < 6 or HEALED.exists():
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
    if HEALED.exists():
        return
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


def open_cases(folder: Path, registry: str, cases: list[str]) -> Shop:
    """A repository of a registry for each case, and one of another registry that always works."""
    name = f"test-{secrets.token_hex(4)}"
    shop = open_shop(folder, hosts=(), timeout=SILENT, tries=4, seconds=9)
    shop.registries = (*(f"{registry}/{name}/{case}" for case in cases), f"docker.io/{name}")
    names = ", ".join(f'"{repository}"' for repository in shop.repositories)
    shop.checkout.write("tiny/image.toml", f"repositories = [{names}]\n{SPEC}")
    return shop


async def test_registries_that_answer_wrongly(tmp_path: Path) -> None:
    """503, 429, 500, 403, 404, 401, 412, silence and another digest while an image is pushed: ten cases of them.

    Transient failures are retried up to a limit, permanent ones are final at once. 503 twice, 429 with Retry-After, a
    lost layer and a lost upload need only be waited for; the report counts the tries.
    """
    addon = tmp_path / "addon.py"
    addon.write_text(ADDON)
    with faults.mitmproxy("ghcr.io", addon) as proxy:
        shop = open_cases(tmp_path, proxy.registry, [*LASTING, *TRANSIENT])
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
        addon.with_name("healed").touch()
        # What was put before it was read back, is there, and is what was built.
        lied = failed[list(LASTING).index("another-digest")]
        assert digest_of(lied, "2026.2.0") == digest_of(served, "2026.2.0")
        require_kept(shop, outcome, failed=failed)
        rule = f"a tag immutability rule of {failed[list(LASTING).index('immutable')]} holds 2026.2.0: exclude 2026.2.0"
        assert rule in outcome.failure
        await require_finished(shop)


async def test_a_repository_that_may_not_be_pushed_to(tmp_path: Path) -> None:
    """It is found before the build, so no registry gets anything; when it is allowed, the same command publishes."""
    addon = tmp_path / "addon.py"
    addon.write_text(ADDON)
    with faults.mitmproxy("ghcr.io", addon) as proxy:
        shop = open_cases(tmp_path, proxy.registry, ["not-allowed"])
        dockerfile = shop.checkout.read("tiny/Dockerfile")
        shop.checkout.write("tiny/Dockerfile", "this is not built\n")
        with pytest.raises(PipelineError, match="DENIED: not for you"):
            await shop.publish()
        assert shop.standing() == [{}, {}]
        shop.checkout.write("tiny/Dockerfile", dockerfile)
        addon.with_name("healed").touch()
        await require_finished(shop)
