"""The files of a registry on the disk, read without asking it: docker-registry itself trusts any file that is there."""

import json
from collections.abc import Iterator
from pathlib import Path

from tests.sandbox.hosts import parse_reference
from tests.sandbox.state import State


def wrong_files(state: State, reference: str, layout: Path) -> list[Path]:
    """The files that a registry should have for an image and does not, or that a crash has left half-written.

    Args:
        state: where the registries keep their files.
        reference: what the image is called.
        layout: the image, as an OCI layout with nothing else in it.
    """
    host, repository, tag = parse_reference(reference)
    storage = state.registry / host / "docker" / "registry" / "v2"
    described, *content = list(_descriptors(layout))
    manifests = storage / "repositories" / repository / "_manifests"
    layers = storage / "repositories" / repository / "_layers"
    digest = str(described["digest"])
    links = {
        manifests / "tags" / tag / "current/link": digest,
        manifests / "revisions" / _folder(digest) / "link": digest,
    }
    links |= {layers / _folder(str(one["digest"])) / "link": str(one["digest"]) for one in content}
    wrong = [file for file, value in links.items() if not file.is_file() or file.read_bytes() != value.encode()]
    for one in (described, *content):
        algorithm, _, value = str(one["digest"]).partition(":")
        blob = storage / "blobs" / algorithm / value[:2] / value / "data"
        if not blob.is_file() or blob.stat().st_size != one["size"]:
            wrong.append(blob)
    return wrong


def _descriptors(layout: Path) -> Iterator[dict[str, object]]:
    """The manifest of the one image in a layout, its configuration, and its layers."""
    entry = json.loads((layout / "index.json").read_text())["manifests"][0]
    yield entry
    manifest = json.loads((layout / "blobs" / _folder(entry["digest"])).read_text())
    yield manifest["config"]
    yield from manifest["layers"]


def _folder(digest: str) -> str:
    return digest.replace(":", "/")
