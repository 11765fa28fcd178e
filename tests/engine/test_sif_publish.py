"""The SIF of an image is published beside it, with the same care, and looked at with a client that is not ours."""

import hashlib
import json
import secrets
from pathlib import Path

import pytest

from pipeline.scripts.sif_layout import CONFIG_TYPE, FILE_TYPE
from tests.engine.publishing import BOTH_KINDS, FIXED, MOVING, SPEC, Shop, docker_config, open_shop, skopeo
from tests.engine.test_attestations import CYCLONEDX, IN_TOTO, SPDX, document, get, referrers
from tests.engine.test_signing import BY_KEY, TYPES, cosign_accepts, make_keys
from tests.engine.traces import log_sizes, writes

pytestmark = pytest.mark.asyncio

SIFS = {f"{tag}-sif" for tag in (*FIXED, *MOVING)}


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Two repositories that nobody else has."""
    return open_shop(tmp_path / "checkout", hosts=BOTH_KINDS)


def with_sif(shop: Shop) -> None:
    """Have the tiny image publish its SIF."""
    shop.checkout.write("tiny/image.toml", f"sif = true\n{SPEC}")


async def test_a_sif_is_published_beside_its_image(shop: Shop, tmp_path: Path) -> None:
    """Under the image's tags with an ending, at one digest everywhere, with SBOMs, provenance and signatures.

    The image is published first without one, as a run leaves it that was cut off between the two: its tags stay as they
    are. After that there is nothing to do, and a tag with another SIF is never taken.
    """
    assert (await shop.publish()).failure == ""
    images = shop.standing()
    with_sif(shop)
    (keys,) = await make_keys(tmp_path / "keys", [secrets.token_hex(16)])
    outcome = await shop.publish(typed=keys.typed)
    assert outcome.failure == ""
    for tag in (*FIXED, *MOVING):
        assert (outcome.results(tag), outcome.results(f"{tag}-sif")) == ({"already there"}, {"pushed"})
    standing = shop.standing()
    (sif,) = {digest for tags in standing for tag, digest in tags.items() if tag in SIFS}
    for before, after in zip(images, standing, strict=True):
        assert after == {**before, **dict.fromkeys(SIFS, sif)}

    repository = shop.repositories[0]
    manifest = json.loads(skopeo("inspect", "--raw", f"docker://{repository}@{sif}"))
    assert (manifest["config"]["mediaType"], manifest["layers"][0]["mediaType"]) == (CONFIG_TYPE, FILE_TYPE)
    file = manifest["layers"][0]["digest"]
    content = get(repository, f"blobs/{file}")
    assert (f"sha256:{hashlib.sha256(content).hexdigest()}", content[32:41]) == (file, b"SIF_MAGIC")
    pull = f"apptainer pull tiny.sif oras://{repository}:2026.2.0-sif"
    assert f"tiny as a SIF, whose file has {file}: {pull}" in outcome.notes

    references = [f"{repository}@{sif}" for repository in shop.repositories]
    assert await cosign_accepts(BY_KEY, keys.public, references, TYPES) == [True] * 2
    assert await cosign_accepts(BY_KEY, keys.public, references) == [True] * 2
    sizes = log_sizes()
    again = await shop.publish(typed=keys.typed)
    assert (again.results(), again.notes) == ({"already there"}, outcome.notes)
    assert writes(sizes, shop) == []

    skopeo(
        "copy", f"--authfile={docker_config()}", f"docker://{repository}:latest", f"docker://{repository}:2026.2.1-sif"
    )
    refused = await shop.publish("v2026.2.1", commit="1" * 40)
    assert refused.failure.startswith("nothing was pushed, because a published tag is never given to another image: ")
    assert f"{repository}:2026.2.1-sif is sha256:" in refused.failure


async def test_documents_are_attached_to_the_sif(shop: Shop) -> None:
    """The SBOMs of its image, and a provenance with the digest of the image; a dry run lists them."""
    with_sif(shop)
    planned = await shop.publish(dry_run=True)
    outcome = await shop.publish()
    assert {row["tag"] for row in planned.rows} == {row["tag"] for row in outcome.rows}
    assert (planned.results("provenance of the SIF"), planned.results("2026.2.0-sif")) == ({"to attach"}, {"to push"})
    (tags,) = {frozenset(tags.items()) for tags in shop.standing()}
    image, sif = dict(tags)["latest"], dict(tags)["latest-sif"]
    for repository in shop.repositories:
        found = {kind: document(repository, made) for kind, made in referrers(repository, sif).items()}
        assert found.keys() == {CYCLONEDX, SPDX, IN_TOTO}
        of_image = {kind: document(repository, made) for kind, made in referrers(repository, image).items()}
        assert (found[CYCLONEDX], found[SPDX]) == (of_image[CYCLONEDX], of_image[SPDX])
        statement = found[IN_TOTO]
        assert statement["subject"] == [{"name": "tiny.sif", "digest": {"sha256": sif.removeprefix("sha256:")}}]
        materials = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
        assert materials[0] == {"name": "tiny", "digest": {"sha256": image.removeprefix("sha256:")}}
