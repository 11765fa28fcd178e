"""The SIF that `publish` puts beside an image, as real Apptainer pulls it from each registry."""

import asyncio
import json
from pathlib import Path

from tests.clients.site import Site
from tests.engine.publishing import SPEC, digest_of, open_shop, skopeo


def test_a_published_sif_is_pulled_and_runs(site: Site, tmp_path: Path) -> None:
    """From all three registries at one digest: the file that the manifest names, with the image's files and labels."""
    shop = open_shop(tmp_path)
    shop.checkout.write("tiny/image.toml", f"sif = true\n{SPEC}")
    assert asyncio.run(shop.publish()).failure == ""
    (digest,) = {digest_of(repository, "2026.2.0-sif") for repository in shop.repositories}
    manifest = json.loads(skopeo("inspect", "--raw", f"docker://{shop.repositories[0]}@{digest}"))
    for repository in shop.repositories:
        # Apptainer has another name for Docker Hub, which the sandbox does not play.
        name = repository.replace("docker.io/", "registry-1.docker.io/")
        site.clients.run("apptainer", "pull", "--force", "--disable-cache", "tiny.sif", f"oras://{name}:2026.2.0-sif")
        assert f"sha256:{site.clients.run('sha256sum', 'tiny.sif').split()[0]}" == manifest["layers"][0]["digest"]
        assert site.clients.run("apptainer", "--quiet", "exec", "tiny.sif", "cat", "/data") == "data"
    labels = site.clients.run("apptainer", "inspect", "tiny.sif")
    assert "org.opencontainers.image.title: tiny" in labels
    assert site.clients.run("apptainer", "--quiet", "exec", f"oras://{name}:latest-sif", "cat", "/data") == "data"
