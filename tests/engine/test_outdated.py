"""Outdated versions are listed in one table: from registries, the pixi of a base image, and a stand-in for OSV."""

import json
import secrets
from pathlib import Path
from typing import Any

import pytest

from tests.engine.conftest import Checkout, failure
from tests.engine.kinds import PINNED
from tests.engine.publishing import digest_of, docker_config, skopeo
from tests.sandbox import osv
from tests.unit.lockfiles import conda, write

NOBLE = "ghcr.io/prefix-dev/pixi:noble"
CUDA = "ghcr.io/prefix-dev/pixi:noble-cuda-13.0.0"
#: Nothing listens there.
DOWN = "ghcr.io:9"
#: The fields that all records of OSV have.
RECORD = {
    "schema_version": "1.7.0",
    "modified": "2026-01-01T00:00:00Z",
    "published": "2026-01-01T00:00:00Z",
    "summary": "A stand-in for a vulnerability",
}


def record(name: str, version: str, fixed: str, package: str = "jinja2") -> dict[str, Any]:
    """OSV's record of a vulnerability of one version of a package."""
    ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}]
    affected = {"package": {"name": package, "ecosystem": "PyPI"}, "ranges": ranges, "versions": [version]}
    return {**RECORD, "id": name, "aliases": [f"CVE-{name}"], "affected": [affected]}


def push(reference: str, other: str) -> str:
    """Let a tag be another image; its digest."""
    copy = ["copy", "--all", "--preserve-digests", "--authfile", str(docker_config())]
    skopeo(*copy, f"docker://{other}", f"docker://{reference}")
    return digest_of(*reference.rsplit(":", 1))


def settle(checkout: Checkout, address: str) -> None:
    """Let the pipeline of a checkout ask an address about vulnerabilities."""
    checkout.set(osv=address)


@pytest.fixture
def repository(checkout: Checkout) -> str:
    """A repository of the test's own, which has the locked base of `small`."""
    made = f"ghcr.io/maniaclab/test-{secrets.token_hex(4)}/pixi"
    first = push(f"{made}:noble-cuda-13.0.0", NOBLE)
    checkout.write("small/image.toml", f'description = "A small image"\nbase = "{made}:noble-cuda-13.0.0"\n')
    checkout.write("small/pixi.lock", write([conda("jinja2-3.1.2-h_0", depends="[python]"), conda("zlib-1-h_0")]))
    checkout.write("small/base.lock", f'[digests]\n"{made}:noble-cuda-13.0.0" = "{first}"\n')
    return made


def test_what_is_outdated_is_told(checkout: Checkout, repository: str, tmp_path: Path) -> None:
    """A newer base image, CUDA and pixi, a file that is another one, and a vulnerable package: with what to change."""
    now = push(f"{repository}:noble-cuda-13.0.0", CUDA)
    for tag in ("noble-cuda-13.0.2", "noble-cuda-13.1.0", "0.99.0-noble-cuda-13.0.0"):
        push(f"{repository}:{tag}", CUDA)
    records = tmp_path / "records.json"
    records.write_text(json.dumps([record("X-1", "3.1.2", "3.1.6"), record("X-2", "3.1.1", "3.1.2")]))
    moved = f'[[files]]\nurl = "{PINNED}"\nsha256 = "{"0" * 64}"\npath = "/pinned"\n'
    checkout.write("small/image.toml", checkout.read("small/image.toml") + moved)
    with osv.standing_in(records) as address:
        settle(checkout, address)
        ended = checkout.call("outdated", "--format", "json")
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    (file,) = (row for row in found["rows"] if row["kind"] == "file")
    assert (file["what"], file["change"]) == (PINNED, "'files.0.sha256' in small/image.toml")
    tools = [row for row in found["rows"] if row["kind"] == "tool image"]
    names = [row["what"].rpartition("/")[2].partition(":")[0] for row in tools]
    assert names == ["python", "regctl", "cosign", "apptainer"]
    assert {(row["current"], row["change"]) for row in tools} == {("not locked", "dagger call lock")}
    rows = {(row["kind"], row["newest"]): row for row in found["rows"] if row not in [file, *tools]}
    assert rows.keys() == {
        ("base image", now[:19]),
        ("CUDA", "13.0.2 (patch)"),
        ("CUDA", "13.1.0 (minor)"),
        ("pixi", "0.99.0"),
        ("vulnerability", "3.1.6"),
    }
    assert rows["base image", now[:19]]["change"] == "dagger call lock --image small"
    assert rows["CUDA", "13.0.2 (patch)"]["change"] == "'base' in small/image.toml: noble-cuda-13.0.2"
    assert rows["pixi", "0.99.0"]["current"] == "0.15.2"
    assert rows["vulnerability", "3.1.6"]["what"] == "jinja2: CVE-X-1, X-1"
    assert found["notes"] == ["small: 1 of 2 packages are of Python, and were looked up; OSV knows no others of conda"]


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_who_cannot_be_asked_is_told(checkout: Checkout, repository: str) -> None:
    """Whoever answered is in the table, who did not has a row of its own, and the call fails: it is not whole."""
    push(f"{repository}:noble-cuda-13.0.2", CUDA)
    runtime = f"{DOWN}/maniaclab/debian:1"
    checkout.write("small/image.toml", f'{checkout.read("small/image.toml")}runtime_base = "{runtime}"\n')
    checkout.write("small/base.lock", f'{checkout.read("small/base.lock")}"{runtime}" = "sha256:{"0" * 64}"\n')
    service = f"http://{DOWN}/v1/query"
    settle(checkout, service)
    error = await failure(checkout, "outdated", image="small")
    assert f"2 of the sources could not be asked ({runtime}, {service}), so there may be more" in error.message
    assert "not known" in error.message
    assert "13.0.2 (patch)" in error.message
