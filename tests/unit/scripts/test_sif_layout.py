"""The SIF of an image as an OCI artifact, in the form that Apptainer itself pushes."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.scripts.sif_layout import main

REVISION = {"org.opencontainers.image.revision": "f" * 40}


def write_blob(layout: Path, content: dict[str, Any]) -> str:
    """Add a document to a layout, and return its digest."""
    data = json.dumps(content).encode()
    digest = hashlib.sha256(data).hexdigest()
    folder = layout / "blobs/sha256"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / digest).write_bytes(data)
    return f"sha256:{digest}"


def read_blob(layout: Path, digest: str) -> dict[str, Any]:
    """A document of a layout, whose digest has to be right."""
    data = (layout / "blobs" / digest.replace(":", "/")).read_bytes()
    assert f"sha256:{hashlib.sha256(data).hexdigest()}" == digest
    content: dict[str, Any] = json.loads(data)
    return content


def write_image(layout: Path, architecture: str) -> str:
    """Add an image for a platform to a layout."""
    config = write_blob(layout, {"architecture": architecture, "os": "linux", "created": "then"})
    return write_blob(layout, {"config": {"digest": config}, "annotations": REVISION})


def make(folder: Path, *architectures: str) -> None:
    """Make the layout of a SIF for each platform, as the pipeline does."""
    sifs = []
    for architecture in architectures:
        file = folder / f"{architecture}.sif"
        file.write_text(architecture)
        sifs += [write_image(folder / "image", architecture), str(file)]
    assert main(str(folder / "made"), "small.sif", str(folder / "image"), *sifs) == 0


def test_one_layer_is_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With Apptainer's media types and an empty configuration, and with the annotations of the image."""
    make(tmp_path, "amd64")
    printed = json.loads(capsys.readouterr().out)
    layout = tmp_path / "made"
    manifest = read_blob(layout, printed["digest"])
    assert json.loads((layout / "index.json").read_text())["manifests"][0]["digest"] == printed["digest"]
    assert printed["manifests"] == [printed["digest"]]
    file = f"sha256:{hashlib.sha256(b'amd64').hexdigest()}"
    assert printed["files"] == [file]
    assert manifest == {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.sylabs.sif.config.v1+json",
            "digest": f"sha256:{hashlib.sha256(b'{}').hexdigest()}",
            "size": 2,
        },
        "layers": [
            {
                "mediaType": "application/vnd.sylabs.sif.layer.v1.sif",
                "digest": file,
                "size": 5,
                "annotations": {"org.opencontainers.image.title": "small.sif"},
            }
        ],
        "annotations": REVISION,
    }
    assert (layout / "blobs" / file.replace(":", "/")).read_text() == "amd64"


def test_several_platforms_are_an_index(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A client takes the file of its own platform from it."""
    make(tmp_path, "amd64", "arm64")
    printed = json.loads(capsys.readouterr().out)
    index = read_blob(tmp_path / "made", printed["digest"])
    assert [(each["platform"], each["digest"]) for each in index["manifests"]] == [
        ({"architecture": name, "os": "linux"}, digest)
        for name, digest in zip(("amd64", "arm64"), printed["manifests"], strict=True)
    ]
    files = [read_blob(tmp_path / "made", digest)["layers"][0]["digest"] for digest in printed["manifests"]]
    assert files == printed["files"]
