"""Attestations of a published image, found without our client: by skopeo, and by requests typed into OpenSSL."""

import hashlib
import json
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from dagger import dag

from pipeline.attestations.attach import made_from
from pipeline.checkout import Checkout as Images
from pipeline.config.settings import Settings
from pipeline.git.commit import Commit
from tests.engine.conftest import a_session
from tests.engine.publishing import BOTH_KINDS, COMMIT, FIXED, MOVING, Shop, digest_of, open_shop, skopeo, tags_of
from tests.sandbox import faults
from tests.sandbox.hosts import REGISTRIES as HOSTS
from tests.sandbox.machine import Machine
from tests.sandbox.state import current

pytestmark = pytest.mark.asyncio

CYCLONEDX: Final = "application/vnd.cyclonedx+json"
SPDX: Final = "application/spdx+json"
IN_TOTO: Final = "application/vnd.in-toto+json"

#: Refuses manifests of what is attached, and takes those of images; until there is a file `healed` beside it.
REFUSING: Final = """
from pathlib import Path

from mitmproxy import http


def request(flow):
    if Path(__file__).with_name("healed").exists():
        return
    if flow.request.method == "PUT" and b'"subject"' in flow.request.content:
        flow.response = http.Response.make(403, b'{"errors":[{"code":"DENIED","message":"no attachments here"}]}')
"""


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Two repositories that nobody else has."""
    return open_shop(tmp_path, hosts=BOTH_KINDS)


def get(repository: str, path: str) -> bytes:
    """A registry's answer to a plain request about a repository; nothing where it does not know the page."""
    host, _, name = repository.partition("/")
    host = host.replace("docker.io", "registry-1.docker.io")
    request = f"GET /v2/{name}/{path} HTTP/1.0\r\nHost: {host}\r\n\r\n"
    command = Machine(current()).command(
        ["openssl", "s_client", "-quiet", "-verify_return_error", "-servername", host, "-connect", f"{host}:443"]
    )
    answer = subprocess.run(command, input=request.encode(), capture_output=True, check=True).stdout
    head, _, body = answer.partition(b"\r\n\r\n")
    status = int(head.split()[1])
    assert status in {200, 404}, head
    return body if status == 200 else b""


def referrers(repository: str, digest: str) -> dict[str, dict[str, Any]]:
    """The manifests of what refers to a digest, by type: from the registry's own list, or the one under the tag."""
    listed = get(repository, f"referrers/{digest}")
    host = next(host for host in HOSTS if host.name.endswith(repository.partition("/")[0]))
    assert bool(listed) == host.lists_referrers
    index = json.loads(listed or skopeo("inspect", "--raw", f"docker://{repository}:{digest.replace(':', '-')}"))
    found = {}
    for descriptor in index["manifests"]:
        manifest = json.loads(skopeo("inspect", "--raw", f"docker://{repository}@{descriptor['digest']}"))
        assert manifest["subject"]["digest"] == digest
        assert manifest["artifactType"] == descriptor["artifactType"]
        found[manifest["artifactType"]] = manifest
    assert len(found) == len(index["manifests"])
    return found


def document(repository: str, manifest: dict[str, Any]) -> dict[str, Any]:
    """The document that a manifest refers to, whose digest has to be the one that it says."""
    (layer,) = manifest["layers"]
    data = get(repository, f"blobs/{layer['digest']}")
    assert f"sha256:{hashlib.sha256(data).hexdigest()}" == layer["digest"]
    found: dict[str, Any] = json.loads(data)
    return found


async def test_an_image_is_published_with_what_is_known_of_it(shop: Shop) -> None:
    """Both SBOMs and the provenance refer to it in registries of both kinds, and its digest is its own."""
    before = await shop.digest_built()
    outcome = await shop.publish()
    assert outcome.failure == ""
    for repository in shop.repositories:
        assert tags_of(repository) == dict.fromkeys((*FIXED, *MOVING), before)
        found = {kind: document(repository, made) for kind, made in referrers(repository, before).items()}
        assert found.keys() == {CYCLONEDX, SPDX, IN_TOTO}
        assert any(line["purl"].startswith("pkg:deb/debian/bash@") for line in found[CYCLONEDX]["components"])
        assert any(package["name"] == "bash" for package in found[SPDX]["packages"])
        assert found[IN_TOTO]["subject"] == [{"name": "tiny", "digest": {"sha256": before.removeprefix("sha256:")}}]
        (base,) = found[IN_TOTO]["predicate"]["buildDefinition"]["resolvedDependencies"]
        assert base["digest"]["sha256"] == digest_of("docker.io/library/debian", "bookworm-slim").partition(":")[2]


async def test_the_provenance_names_commit_lock_and_base(shop: Shop) -> None:
    """The lock by its hash, and the base by the digest that its tag has in the registry.

    A Dockerfile has each image that it is made from there, and image.toml each file that it takes from an address.
    """
    shop.checkout.write("small/image.toml", 'description = "A small image"\n')
    shop.checkout.add_environment()
    spec = shop.checkout.read("tiny/image.toml")
    shop.checkout.write(
        "tiny/image.toml",
        f'{spec}[[files]]\nurl = "https://example.org/a"\nsha256 = "{"0" * 64}"\npath = "/a"\n'
        f'[build_args]\nPIXI = "{Settings().base}"\n',
    )
    stages = "ARG PIXI\nFROM $PIXI AS pixi\nFROM nowhere:1 AS unused\n"
    copies = (
        "COPY --from=pixi /etc/os-release /a\nRUN --mount=from=docker.io/library/debian:bookworm-slim,target=/b true\n"
    )
    shop.checkout.write("tiny/Dockerfile", f"{stages}FROM scratch\n{copies}")
    commit = Commit(COMMIT, datetime(2026, 2, 1, tzinfo=UTC), ())
    async with a_session():
        images = await Images.open(dag.host().directory(str(shop.checkout.path)))
        images = replace(images, commit=commit)
        found = await made_from(images.image("small"), ["linux/amd64"])
        tiny = await made_from(images.image("tiny"), ["linux/amd64"])
    lock = hashlib.sha256(shop.checkout.read("small/pixi.lock").encode()).hexdigest()
    repository, _, tag = Settings().base.rpartition(":")
    base = digest_of(repository, tag).removeprefix("sha256:")
    assert [dict(part.digest) for part in found] == [{"gitCommit": COMMIT}, {"sha256": lock}, {"sha256": base}]
    debian = digest_of("docker.io/library/debian", "bookworm-slim").removeprefix("sha256:")
    assert [dict(part.digest) for part in tiny[1:]] == [{"sha256": base}, {"sha256": debian}, {"sha256": "0" * 64}]
    assert tiny[-1].uri == "https://example.org/a"


async def test_each_platform_has_a_bill_of_its_own(shop: Shop) -> None:
    """The bills refer to the manifest of their platform, and the provenance to the index."""
    spec = shop.checkout.read("tiny/image.toml")
    shop.checkout.write("tiny/image.toml", f'platforms = ["linux/amd64", "linux/arm64"]\n{spec}')
    only = replace(shop, registries=shop.registries[1:], named=True)
    outcome = await only.publish()
    assert outcome.failure == ""
    (repository,) = only.repositories
    digest = digest_of(repository, "latest")
    index = json.loads(skopeo("inspect", "--raw", f"docker://{repository}:latest"))
    assert referrers(repository, digest).keys() == {IN_TOTO}
    for platform in index["manifests"]:
        assert referrers(repository, platform["digest"]).keys() == {CYCLONEDX, SPDX}


async def test_a_registry_that_takes_no_attachments(tmp_path: Path) -> None:
    """It has the immutable tags, the other has everything but the floating ones, and the same command finishes it."""
    addon = tmp_path / "addon.py"
    addon.write_text(REFUSING)
    with faults.mitmproxy("ghcr.io", addon) as proxy:
        shop = open_shop(tmp_path, hosts=(proxy.registry, "hub.opensciencegrid.org"), tries=2, seconds=2)
        outcome = await shop.publish()
        refusing, other = shop.repositories
        assert f"SBOM (CycloneDX) in {refusing}" in outcome.failure
        assert outcome.reason(refusing) == "attaching SBOM (CycloneDX) failed: DENIED: no attachments here"
        assert [set(tags) for tags in shop.standing()] == [set(FIXED)] * 2
        assert outcome.of(refusing)["provenance"] == "missing"
        assert outcome.of(other)["provenance"] == "pushed"
        addon.with_name("healed").touch()
        outcome = await shop.publish()
        assert outcome.failure == ""
        assert [set(tags) for tags in shop.standing()] == [{*FIXED, *MOVING}] * 2
    past_the_proxy = refusing.replace(proxy.registry, "ghcr.io")
    assert referrers(past_the_proxy, digest_of(past_the_proxy, "latest")).keys() == {CYCLONEDX, SPDX, IN_TOTO}
