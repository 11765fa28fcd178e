"""Pulling from each registry, and the bytes that an update moves, as the registry counts them."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from tests.clients.site import QUICKLY, Site
from tests.engine.publishing import REGISTRIES
from tests.sandbox.state import current

NEXT: Final = "2026.3.0"
#: A line of nginx's log: the path of a blob that was sent, and the number of its bytes.
SENT: Final = re.compile(r'"GET /v2/(?P<repository>\S+)/blobs/\S+ HTTP/[0-9.]+" 200 (?P<bytes>\d+) ')
#: Commands that pull an image, by client.
PULL: Final = {
    "Podman": ("podman", "pull", "--quiet"),
    "Apptainer": ("apptainer", "--quiet", "pull", "--force", "pulled.sif"),
}
#: Bytes of a layer that may be sent before a client hangs up; some 1 MB was seen.
BEGINNING: Final = 10_000_000
MANIFEST: Final = "Accept: application/vnd.oci.image.manifest.v1+json"


#: The registries that Apptainer reaches. Docker Hub is index.docker.io to it, a name that the sandbox does not play.
REACHED: Final = ("ghcr.io", "hub.opensciencegrid.org")


@pytest.mark.parametrize("host", REGISTRIES)
def test_each_registry_is_pulled_from(site: Site, host: str) -> None:
    """Under its own name, each registry gives the image to both clients."""
    reference = site.reference("tiny").replace("ghcr.io", host, 1)
    clients = [["podman", "run", "--rm", "--pull=always", "--quiet", reference]]
    if host in REACHED:
        clients.append(["apptainer", "--quiet", "exec", f"docker://{reference}"])
    for words in clients:
        assert site.clients.run(*words, "cat", "/data", environment=QUICKLY) == "data"


@contextmanager
def counted(site: Site) -> Iterator[list[int]]:
    """The sizes of the blobs that the registry sends meanwhile, of repositories of this site."""
    log = current().log / "ghcr.io.access.log"
    before = log.stat().st_size
    sizes: list[int] = []
    yield sizes
    with log.open() as lines:
        lines.seek(before)
        found = filter(None, map(SENT.search, lines))
        sizes += [int(sent["bytes"]) for sent in found if f"ghcr.io/{sent['repository']}".startswith(site.registry)]


def blobs(site: Site, reference: str) -> dict[str, int]:
    """The digests of an image's blobs, and their sizes."""
    repository, _, version = reference.removeprefix("ghcr.io/").rpartition(":")
    url = f"https://ghcr.io/v2/{repository}/manifests/{version}"
    manifest = json.loads(site.clients.run("curl", "--silent", "--fail", "--header", MANIFEST, url))
    return {blob["digest"]: blob["size"] for blob in (manifest["config"], *manifest["layers"])}


@pytest.mark.parametrize("client", PULL)
def test_an_update_moves_what_changed(site: Site, client: str) -> None:
    """A client that has an image is sent the new layers of its next version, and no layer below them once more.

    Apptainer asks for each layer, and hangs up where it has it: of these, a beginning is sent, or all of a small one.
    """
    old = site.reference("tiny")
    site.shop.checkout.write("tiny/data", "other data")
    new = site.reference("tiny", NEXT)
    before, after = blobs(site, old), blobs(site, new)
    changed = [size for digest, size in after.items() if digest not in before]
    kept = {size for digest, size in after.items() if digest in before}

    def pull(reference: str) -> list[int]:
        source = f"docker://{reference}" if client == "Apptainer" else reference
        with counted(site) as sizes:
            site.clients.run(*PULL[client], source, environment=QUICKLY)
        return sizes

    pull(old)
    sent = pull(new)
    assert set(changed) <= set(sent)
    large = {size for size in kept if size > BEGINNING}
    assert large
    assert not large & set(sent)
    assert client == "Apptainer" or sorted(sent) == sorted(changed)
    assert 0 < sum(changed) < sum(kept) / 100


def test_images_of_one_lab_share_layers(site: Site) -> None:
    """A node that has the large image has most bytes of the small one."""
    large, small = blobs(site, site.reference("ml_platform")), blobs(site, site.reference("columnar"))
    assert sum(size for digest, size in small.items() if digest in large) > sum(small.values()) / 2
