"""A published image and a built one are compared by what they are made of, and only where they differ."""

import hashlib
import io
import json
import re
import tarfile
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import pytest

from pipeline.scripts import compare
from pipeline.scripts.messages import Job


@pytest.fixture
def anonymous(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry without a password."""
    monkeypatch.setenv("REGISTRY_PASSWORD", "")


def write(folder: Path, content: bytes) -> str:
    """Write a blob of a layout."""
    digest = hashlib.sha256(content).hexdigest()
    (folder / "blobs/sha256").mkdir(parents=True, exist_ok=True)
    (folder / "blobs/sha256" / digest).write_bytes(content)
    return f"sha256:{digest}"


def write_layer(folder: Path, **files: str) -> str:
    """Write a layer with files."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return write(folder, data.getvalue())


def write_manifest(folder: Path, layers: list[str], **config: object) -> str:
    """Write an image's configuration and manifest."""
    diffs = {"rootfs": {"diff_ids": layers}}
    manifest = {
        "config": {"digest": write(folder, json.dumps({**config, **diffs}).encode())},
        "layers": [{"digest": digest, "mediaType": "layer"} for digest in layers],
    }
    return write(folder, json.dumps(manifest).encode())


def finish(folder: Path, digest: str) -> compare.Layout:
    """Write what makes a folder the layout of one image."""
    (folder / "index.json").write_text(json.dumps({"manifests": [{"digest": digest}]}))
    return compare.Layout(folder)


def diff(published: compare.Layout, built: compare.Layout) -> list[tuple[str, str, str]]:
    """Place, path and kind of each difference."""
    found = compare.compare(published, published.digest(), built)
    return [(one.location, one.path, one.what) for one in found]


def image(folder: Path, text: str = "a", **config: object) -> compare.Layout:
    """A layout of an image of two layers, of which the second has a file with a text."""
    layers = [write_layer(folder, base="base"), write_layer(folder, file=text)]
    return finish(folder, write_manifest(folder, layers, **config))


def test_images_that_are_the_same_have_no_difference(tmp_path: Path) -> None:
    """If the digests are equal, nothing is read."""
    assert diff(image(tmp_path / "1"), image(tmp_path / "2")) == []


def test_a_changed_file_is_told_with_its_layer(tmp_path: Path) -> None:
    """The layer is named by its place, the file by its path; the layer that both have is not looked at."""
    assert diff(image(tmp_path / "1"), image(tmp_path / "2", "b")) == [("layer 2 of 2", "file", "content")]


def test_a_changed_configuration_is_told_by_its_keys(tmp_path: Path) -> None:
    """A label or variable that differs is reported, the digest that follows from it is not."""
    found = diff(
        image(tmp_path / "1", config={"Labels": {"a": "1"}}), image(tmp_path / "2", config={"Labels": {"a": "2"}})
    )
    assert found == [("configuration", "config.Labels.a", "value")]


def test_a_layer_more_is_told(tmp_path: Path) -> None:
    """A layer that the built image alone has is all new."""
    layers = [write_layer(tmp_path / "2", base="base"), write_layer(tmp_path / "2", file="a", more="b")]
    layers.append(write_layer(tmp_path / "2", third="c"))
    built = finish(tmp_path / "2", write_manifest(tmp_path / "2", layers))
    found = diff(image(tmp_path / "1"), built)
    assert found[:2] == [("layer 2 of 2", "more", "added"), ("layer 3 of 3", "third", "added")]
    assert {location for location, _, _ in found[2:]} == {"manifest"}


def test_a_layer_that_cannot_be_read_does_not_end_the_comparison(tmp_path: Path) -> None:
    """The reason is reported, with all other differences."""
    layers = [write_layer(tmp_path / "2", base="base"), write(tmp_path / "2", b"\x28\xb5\x2f\xfd")]
    built = finish(tmp_path / "2", write_manifest(tmp_path / "2", layers, user="a"))
    found = diff(image(tmp_path / "1"), built)
    assert found[0][2].startswith("it cannot be read: ")
    assert found[1] == ("configuration", "user", "added")


def test_each_platform_is_compared_with_its_own(tmp_path: Path) -> None:
    """Of an index, the platform that differs is reported; so is a platform that only one has."""

    def index(folder: Path, text: str, *platforms: str) -> compare.Layout:
        manifests: list[dict[str, Any]] = []
        for platform in platforms:
            texts = {"arm64": text, "amd64": "same"}
            layers = [write_layer(folder, file=texts.get(platform, platform))]
            platform_ = {"os": "linux", "architecture": platform}
            manifests.append({"digest": write_manifest(folder, layers), "platform": platform_})
        return finish(folder, write(folder, json.dumps({"manifests": manifests}).encode()))

    found = diff(index(tmp_path / "1", "a", "amd64", "arm64"), index(tmp_path / "2", "b", "amd64", "arm64", "riscv64"))
    assert ("linux/arm64 layer 1 of 1", "file", "content") in found
    assert ("index", "[2]", "added") in found
    assert not [location for location, _, _ in found if "amd64" in location]


def run_main(
    tmp_path: Path, program: str, capsys: pytest.CaptureFixture[str], digest: str = "sha256:0"
) -> dict[str, Any]:
    """The report about a published image that a program in place of regctl gives."""
    built = image(tmp_path / "built")
    file = tmp_path / "regctl"
    file.write_text(f"#!/bin/sh\n{program}\n")
    file.chmod(0o755)
    job = Job(
        action="compare", repository="ghcr.io/a/b", host="ghcr.io", username="", digest=digest,
        program=str(file), timeout=5, tries=1, seconds=1,
    )  # fmt: skip
    (tmp_path / "job.json").write_text(json.dumps(asdict(job)))
    assert compare.main(str(tmp_path / "job.json"), str(built.folder)) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return report


#: A program that serves the blobs of a folder, as regctl does those of a registry.
SERVE: Final = """\
case "$1 $2" in
  "manifest get") cat {0}/blobs/sha256/"${{3##*sha256:}}" ;;
  "blob get") cat {0}/blobs/sha256/"${{4#sha256:}}" ;;
esac
"""


@pytest.mark.usefixtures("anonymous")
def test_a_registry_that_does_not_answer_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The report says why there is no comparison, instead of none."""
    report = run_main(tmp_path, "echo 'request failed: not found [http 404]' >&2\nexit 1", capsys)
    assert report["differences"] == []
    assert "not found" in report["failure"]


@pytest.mark.usefixtures("anonymous")
def test_layers_of_a_registry_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are read from files, since they may be of any size."""
    published = image(tmp_path / "published", "b")
    report = run_main(tmp_path, SERVE.format(published.folder), capsys, published.digest())
    assert [(one["path"], one["what"]) for one in report["differences"]] == [("file", "content")]


@pytest.mark.usefixtures("anonymous")
def test_a_layer_may_not_be_longer_than_the_manifest_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A registry may send what it likes for as long as it likes."""
    folder = tmp_path / "published"
    layout = image(folder, "b")
    manifest = layout.manifest(layout.digest())
    manifest["layers"][1]["size"] = 100
    published = finish(folder, write(folder, json.dumps(manifest).encode()))
    report = run_main(tmp_path, SERVE.format(folder), capsys, published.digest())
    assert report["failure"] == "it gives more than 100 bytes"
    endless = SERVE.format(folder).replace('"blob get") cat', '"blob get") exec cat /dev/zero')
    assert run_main(tmp_path, endless, capsys, published.digest())["failure"] == "it gives more than 100 bytes"


@pytest.mark.parametrize("manifest", ["[]", "{}", '{"layers": [], "config": 1}', "[" * 100_000, "no JSON"])
@pytest.mark.usefixtures("anonymous")
def test_a_manifest_that_is_none_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str], manifest: str) -> None:
    """A published image is foreign: its manifest may be anything."""
    (tmp_path / "manifest").write_text(manifest)
    report = run_main(tmp_path, f"cat {tmp_path}/manifest", capsys)
    assert report["failure"].startswith("its manifest or configuration is not one of an image: ")


def test_layers_are_read_by_what_the_tests_read_them_with() -> None:
    """The script's requirements are pinned by the same hashes as those of its tests."""
    root = Path(__file__).parents[3]
    _, *packages = re.split(r"\n(?=\w)", (root / "pipeline/scripts/layers.lock").read_text().strip())
    assert [package.partition("==")[0] for package in packages] == ["backports-zstd", "deflate"]
    assert all(package in (root / "tests/requirements.lock").read_text() for package in packages)
