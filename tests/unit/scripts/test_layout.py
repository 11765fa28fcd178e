"""The OCI layout: from archives as the engine exports them, with its times and names in them."""

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from pipeline.scripts import layout

CREATED = "2026-02-01T03:04:05Z"


def digest_of(data: bytes) -> str:
    """The digest of a blob."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def write_archive(file: Path, *, engine: str, architecture: str = "amd64", nested: bool = False) -> Path:
    """An archive of a container with two layers, as an engine writes it that has a name for each snapshot."""
    blobs: dict[str, bytes] = {}

    def add(data: bytes) -> dict[str, Any]:
        blobs[digest_of(data)] = data
        return {"digest": digest_of(data), "size": len(data)}

    layers = [add(b"first layer"), add(b"second layer")]
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Labels": {"title": "small"}},
        "created": f"time of {engine}",
        "rootfs": {"type": "layers", "diff_ids": ["first", "second"]},
        "history": [{"created": f"time of {engine}", "created_by": f"snapshot of {engine}"}],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": layout.MANIFEST,
        "config": {"mediaType": "config", **add(json.dumps(config).encode())},
        "layers": layers,
        "annotations": {"org.example": "kept"},
    }
    described = add(json.dumps(manifest, indent=2).encode())
    if nested:
        described = add(json.dumps({"schemaVersion": 2, "manifests": [described]}).encode())
    index = {"schemaVersion": 2, "manifests": [{**described, "annotations": {"created": f"time of {engine}"}}]}
    with tarfile.open(file, "w") as tar:
        for name, data in {**{f"blobs/{d.replace(':', '/')}": b for d, b in blobs.items()}}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        entry = tarfile.TarInfo("index.json")
        data = json.dumps(index).encode()
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))
    return file


def make(folder: Path, *archives: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Run the command, and return the image's digest, which it prints first."""
    arguments = [argument for archive in archives for argument in (str(archive), "-", "{}")]
    assert layout.main(str(folder), CREATED, *arguments) == 0
    digest, *lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["2"] * len(archives)
    assert [line.split()[0] for line in lines] == (
        [digest] if len(archives) == 1 else [found["digest"] for found in read(folder, digest)["manifests"]]
    )
    return digest


def read(folder: Path, digest: str) -> Any:  # noqa: ANN401  # JSON
    """A document among the blobs, whose digest must be right."""
    data = (folder / "blobs" / digest.replace(":", "/")).read_bytes()
    assert digest_of(data) == digest
    return json.loads(data)


def test_the_engine_leaves_no_trace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same container from two engines has one digest."""
    found = {
        make(tmp_path / engine, write_archive(tmp_path / f"{engine}.tar", engine=engine, nested=nested), capsys=capsys)
        for engine, nested in (("one", False), ("two", False), ("three", True))
    }
    assert len(found) == 1


def test_one_archive_is_a_manifest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No index is made for one platform; annotations stay, and the configuration has one time."""
    digest = make(tmp_path / "out", write_archive(tmp_path / "a.tar", engine="one"), capsys=capsys)
    manifest = read(tmp_path / "out", digest)
    assert (manifest["mediaType"], manifest["annotations"]) == (layout.MANIFEST, {"org.example": "kept"})
    config = read(tmp_path / "out", manifest["config"]["digest"])
    assert config["created"] == CREATED
    assert config["history"] == [{"created": CREATED}] * 2
    assert config["config"] == {"Labels": {"title": "small"}}


def test_settings_that_the_engine_drops_are_added(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are in the configuration beside those that the archive has."""
    archive = write_archive(tmp_path / "a.tar", engine="one")
    health = {"Healthcheck": {"Test": ["NONE"]}}
    assert layout.main(str(tmp_path / "out"), CREATED, str(archive), "-", json.dumps(health)) == 0
    manifest = read(tmp_path / "out", capsys.readouterr().out.split()[0])
    config = read(tmp_path / "out", manifest["config"]["digest"])
    assert config["config"] == {"Labels": {"title": "small"}, **health}


def test_layers_are_copied_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each blob of the layout is what its name says, and nothing of the archive's own is left."""
    digest = make(tmp_path / "out", write_archive(tmp_path / "a.tar", engine="one"), capsys=capsys)
    blobs = list((tmp_path / "out/blobs/sha256").iterdir())
    assert len(blobs) == 4  # two layers, a configuration, a manifest
    assert all(hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name for blob in blobs)
    index = json.loads((tmp_path / "out/index.json").read_bytes())
    assert [found["digest"] for found in index["manifests"]] == [digest]
    assert json.loads((tmp_path / "out/oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}


def test_layers_of_an_environment_come_below_the_topmost_one(tmp_path: Path) -> None:
    """In the manifest and in the configuration, in their order; the topmost layer changes with each commit."""
    packed = [
        {"mediaType": "archive", "digest": f"sha256:{name}", "size": size, "diff_id": f"plain {name}"}
        for name, size in (("large", 9), ("small", 1))
    ]
    (tmp_path / "packed.json").write_text(json.dumps(packed))
    archive = write_archive(tmp_path / "a.tar", engine="one")
    assert layout.main(str(tmp_path / "out"), CREATED, str(archive), str(tmp_path / "packed.json"), "{}") == 0
    index = json.loads((tmp_path / "out/index.json").read_bytes())
    manifest = read(tmp_path / "out", index["manifests"][0]["digest"])
    first, *environment, last = manifest["layers"]
    assert (first["digest"], last["digest"]) == (digest_of(b"first layer"), digest_of(b"second layer"))
    assert environment == [{key: layer[key] for key in ("mediaType", "digest", "size")} for layer in packed]
    config = read(tmp_path / "out", manifest["config"]["digest"])
    assert config["rootfs"]["diff_ids"] == ["first", "plain large", "plain small", "second"]
    assert config["history"] == [{"created": CREATED}] * 4


def test_several_archives_are_an_index_in_their_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Platforms come in the order of the image, with the names that the configurations give them."""
    archives = [write_archive(tmp_path / f"{name}.tar", engine="one", architecture=name) for name in ("arm64", "amd64")]
    digest = make(tmp_path / "out", *archives, capsys=capsys)
    index = read(tmp_path / "out", digest)
    assert index["mediaType"] == layout.INDEX
    platforms = [found["platform"] for found in index["manifests"]]
    assert platforms == [{"architecture": "arm64", "os": "linux"}, {"architecture": "amd64", "os": "linux"}]
    assert all(read(tmp_path / "out", found["digest"])["layers"] for found in index["manifests"])


def test_an_archive_with_two_images_is_refused(tmp_path: Path) -> None:
    """Which of them is meant, nobody knows."""
    file = tmp_path / "a.tar"
    with tarfile.open(file, "w") as tar:
        data = json.dumps({"manifests": [{"digest": "sha256:1"}, {"digest": "sha256:2"}]}).encode()
        entry = tarfile.TarInfo("index.json")
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))
    with pytest.raises(SystemExit, match=r"^a\.tar has 2 images instead of one$"):
        layout.main(str(tmp_path / "out"), CREATED, str(file), "-", "{}")
