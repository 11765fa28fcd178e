"""The OCI layout: from archives as the engine exports them, with its times, names and compression in them."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from backports import zstd

from pipeline.scripts import layout
from pipeline.scripts.layer_format import find_format
from pipeline.scripts.messages import Assembly

CREATED = "2026-02-01T03:04:05Z"
OCI = "application/vnd.oci.image.layer.v1.tar"
NAMES = ("first", "second")


def digest_of(data: bytes) -> str:
    """The digest of a blob."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def layer_of(name: str) -> bytes:
    """The archive of a layer with one file."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(name) * 1000
        archive.addfile(entry, io.BytesIO(name.encode() * 1000))
    return file.getvalue()


def write_archive(
    file: Path, *, engine: str, architecture: str = "amd64", nested: bool = False, level: int = 6
) -> Path:
    """An archive of a container with two layers, as an engine writes it that has a name for each snapshot.

    The engine compresses layers with gzip at a level, or with zstd if that is 0.
    """
    blobs: dict[str, bytes] = {}

    def add(data: bytes) -> dict[str, Any]:
        blobs[digest_of(data)] = data
        return {"digest": digest_of(data), "size": len(data)}

    def compress(data: bytes) -> bytes:
        return gzip.compress(data, level, mtime=0) if level else zstd.compress(data)

    kind = "gzip" if level else "zstd"
    layers = [{"mediaType": f"{OCI}+{kind}", **add(compress(layer_of(name)))} for name in NAMES]
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Labels": {"title": "small"}},
        "created": f"time of {engine}",
        "rootfs": {"type": "layers", "diff_ids": [digest_of(layer_of(name)) for name in NAMES]},
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
        for name, data in {f"blobs/{digest.replace(':', '/')}": blob for digest, blob in blobs.items()}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        entry = tarfile.TarInfo("index.json")
        data = json.dumps(index).encode()
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))
    return file


def write_base(file: Path, blob: bytes, archive: bytes, kind: str = "gzip") -> Path:
    """A description of a base image with one layer, as its registry has it."""
    layer = {"mediaType": f"{OCI}+{kind}", "digest": digest_of(blob), "size": len(blob), "diff_id": digest_of(archive)}
    file.write_text(json.dumps([layer]))
    return file


def assemble(  # noqa: PLR0913  # arguments of the command
    folder: Path,
    *archives: Path,
    capsys: pytest.CaptureFixture[str],
    base: Path | str = "-",
    packed: Path | str = "-",
    settings: Mapping[str, Any] | None = None,
    compression: str = "gzip",
    number: int = 2,
) -> Assembly:
    """Run the command, and return its output."""
    rest = (base, packed, json.dumps(settings or {}))
    arguments = [str(argument) for archive in archives for argument in (archive, *rest)]
    store = folder.with_name(f"store of {folder.name}")
    assert layout.main(str(folder), CREATED, compression, str(number), str(store), *arguments) == 0
    return Assembly(**json.loads(capsys.readouterr().out))


def make(folder: Path, *archives: Path, capsys: pytest.CaptureFixture[str], base: Path | str = "-") -> str:
    """Run the command, and return the image's digest."""
    made = assemble(folder, *archives, capsys=capsys, base=base)
    assert not any(made.missing)
    assert made.layers == [2] * len(archives)
    assert made.manifests == (
        [made.digest] if len(archives) == 1 else [found["digest"] for found in read(folder, made.digest)["manifests"]]
    )
    return made.digest


def layers_of(folder: Path, digest: str) -> Sequence[dict[str, Any]]:
    """The descriptors of an image's layers."""
    layers: Sequence[dict[str, Any]] = read(folder, digest)["layers"]
    return layers


def read(folder: Path, digest: str) -> Any:  # noqa: ANN401  # JSON
    """A document among the blobs, whose digest must be right."""
    data = (folder / "blobs" / digest.replace(":", "/")).read_bytes()
    assert digest_of(data) == digest
    return json.loads(data)


def test_the_engine_leaves_no_trace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same container from engines that name, nest and compress otherwise has one digest."""
    archives = [
        write_archive(tmp_path / f"{engine}.tar", engine=engine, nested=nested, level=level)
        for engine, nested, level in (("one", False, 6), ("two", False, 1), ("three", True, 9), ("four", False, 0))
    ]
    assert len({make(tmp_path / archive.stem, archive, capsys=capsys) for archive in archives}) == 1


@pytest.mark.parametrize("level", [1, 6, 9, 0])
def test_layers_of_the_base_image_are_those_of_its_registry(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], level: int
) -> None:
    """However the engine compressed them: what differs is named, and nothing else is fetched."""
    theirs = gzip.compress(layer_of("first"), 9, mtime=0)
    base = write_base(tmp_path / "base.json", theirs, layer_of("first"))
    archive, out = write_archive(tmp_path / "a.tar", engine="one", level=level), tmp_path / "out"
    made = assemble(out, archive, capsys=capsys, base=base)
    if level == 9:
        assert made.missing == []
    else:
        assert (made.digest, made.missing) == ("", [[digest_of(theirs)]])
        assert not (out / "index.json").exists()
        assert list((out / "blobs/sha256").iterdir()) == []
        (out / "blobs/sha256" / digest_of(theirs).removeprefix("sha256:")).write_bytes(theirs)
        made = assemble(out, archive, capsys=capsys, base=base)
    assert made.based == [1]
    lowest, own = layers_of(out, made.digest)
    assert lowest == {"mediaType": f"{OCI}+gzip", "digest": digest_of(theirs), "size": len(theirs)}
    assert (out / "blobs/sha256" / lowest["digest"].removeprefix("sha256:")).read_bytes() == theirs
    blobs = {path.name for path in (out / "blobs/sha256").iterdir()}
    config = read(out, made.digest)["config"]["digest"]
    names = (lowest["digest"], own["digest"], config, made.digest)
    assert blobs == {name.removeprefix("sha256:") for name in names}
    as_pulled = write_archive(tmp_path / "pulled.tar", engine="two", level=9)
    assert make(tmp_path / "pulled", as_pulled, capsys=capsys, base=base) == made.digest


def test_a_base_image_keeps_its_compression(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A node that has the base image need not pull it again for an image in zstd."""
    theirs = gzip.compress(layer_of("first"), 6, mtime=0)
    base = write_base(tmp_path / "base.json", theirs, layer_of("first"))
    archive = write_archive(tmp_path / "a.tar", engine="one")
    made = assemble(tmp_path / "out", archive, capsys=capsys, base=base, compression="zstd")
    assert [layer["mediaType"] for layer in layers_of(tmp_path / "out", made.digest)] == [f"{OCI}+gzip", f"{OCI}+zstd"]


def test_another_image_is_no_base(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The layers of an image that does not begin with those of the base image are all made here."""
    base = write_base(tmp_path / "base.json", b"blob", layer_of("second"))
    archive = write_archive(tmp_path / "a.tar", engine="one")
    made = assemble(tmp_path / "out", archive, capsys=capsys, base=base)
    assert (made.based, made.digest) == ([0], make(tmp_path / "other", archive, capsys=capsys))


def test_one_archive_is_a_manifest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No index is made for one platform; annotations stay, and the configuration has one time."""
    digest = make(tmp_path / "out", write_archive(tmp_path / "a.tar", engine="one"), capsys=capsys)
    manifest = read(tmp_path / "out", digest)
    assert (manifest["mediaType"], manifest["annotations"]) == (layout.MANIFEST, {"org.example": "kept"})
    config = read(tmp_path / "out", manifest["config"]["digest"])
    assert config["created"] == CREATED
    assert config["history"] == [{"created": CREATED, "comment": "pipeline.layers.v2"}] * 2
    assert config["config"] == {"Labels": {"title": "small"}}


@pytest.mark.parametrize(("number", "named"), [(1, {}), (2, {"comment": "pipeline.layers.v2"})])
def test_own_layers_name_their_format(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], number: int, named: dict[str, str]
) -> None:
    """Those of the base image do not; format 1 is what images without a name have, and its bytes are zlib's.

    The archives before compression say nothing of the format.
    """
    theirs = gzip.compress(layer_of("first"), 6, mtime=0)
    base = write_base(tmp_path / "base.json", theirs, layer_of("first"))
    out = tmp_path / "out"
    made = assemble(out, write_archive(tmp_path / "a.tar", engine="one"), capsys=capsys, base=base, number=number)
    config = read(out, read(out, made.digest)["config"]["digest"])
    assert config["history"] == [{"created": CREATED}, {"created": CREATED, **named}]
    assert find_format(config) == number
    assert config["rootfs"]["diff_ids"] == [digest_of(layer_of(name)) for name in NAMES]
    own = (out / "blobs/sha256" / layers_of(out, made.digest)[1]["digest"].removeprefix("sha256:")).read_bytes()
    zlib = io.BytesIO()
    with gzip.GzipFile("", "wb", 6, zlib, mtime=0) as file:
        file.write(layer_of("second"))
    assert (own == zlib.getvalue()) == (number == 1)
    assert gzip.decompress(own) == layer_of("second")


def test_settings_that_the_engine_drops_are_added(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are in the configuration beside those that the archive has."""
    archive = write_archive(tmp_path / "a.tar", engine="one")
    health = {"Healthcheck": {"Test": ["NONE"]}}
    made = assemble(tmp_path / "out", archive, capsys=capsys, settings=health)
    config = read(tmp_path / "out", read(tmp_path / "out", made.digest)["config"]["digest"])
    assert config["config"] == {"Labels": {"title": "small"}, **health}


def test_each_blob_is_named_by_its_digest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And nothing of the archive's own is left."""
    digest = make(tmp_path / "out", write_archive(tmp_path / "a.tar", engine="one"), capsys=capsys)
    blobs = list((tmp_path / "out/blobs/sha256").iterdir())
    assert len(blobs) == 4  # two layers, a configuration, a manifest
    assert all(hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name for blob in blobs)
    index = json.loads((tmp_path / "out/index.json").read_bytes())
    assert [found["digest"] for found in index["manifests"]] == [digest]
    assert json.loads((tmp_path / "out/oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}


def test_layers_of_an_environment_come_below_the_topmost_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the manifest and in the configuration, in their order; the topmost layer changes with each commit."""
    packed = [
        {"mediaType": "archive", "digest": f"sha256:{name}", "size": size, "diff_id": f"plain {name}"}
        for name, size in (("large", 9), ("small", 1))
    ]
    (tmp_path / "packed.json").write_text(json.dumps(packed))
    archive = write_archive(tmp_path / "a.tar", engine="one")
    made = assemble(tmp_path / "out", archive, capsys=capsys, packed=tmp_path / "packed.json")
    assert made.layers == [4]
    manifest = read(tmp_path / "out", made.digest)
    assert manifest["layers"][1:-1] == [
        {key: layer[key] for key in ("mediaType", "digest", "size")} for layer in packed
    ]
    config = read(tmp_path / "out", manifest["config"]["digest"])
    first, *environment, last = config["rootfs"]["diff_ids"]
    assert (first, last) == tuple(digest_of(layer_of(name)) for name in NAMES)
    assert environment == ["plain large", "plain small"]
    assert config["history"] == [{"created": CREATED, "comment": "pipeline.layers.v2"}] * 4


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
        layout.main(str(tmp_path / "out"), CREATED, "gzip", "2", str(tmp_path / "store"), str(file), "-", "-", "{}")
