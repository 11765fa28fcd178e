"""Images written as OCI layouts: the same content gives the same digests, and says what it holds."""

import gzip
import hashlib
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox import debian, images, oci, sdk_content


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with a program, a file, a link and an empty folder."""
    folder = tmp_path / "tree"
    (folder / "bin").mkdir(parents=True)
    (folder / "empty").mkdir()
    (folder / "bin" / "tool").write_text("#!/bin/sh\n")
    (folder / "bin" / "tool").chmod(0o700)
    (folder / "bin" / "link").symlink_to("tool")
    (folder / "notes.txt").write_text("notes")
    (folder / "notes.txt").chmod(0o600)
    return folder


def blob(layout: Path, digest: str) -> Path:
    return layout / "blobs" / "sha256" / digest.removeprefix("sha256:")


def read(layout: Path, digest: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(blob(layout, digest).read_text())
    return content


def members(tar: Path) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(tar) as opened:
        return {member.name: member for member in opened}


def test_a_layer_does_not_say_who_made_it_and_when(tree: Path, tmp_path: Path) -> None:
    """Owner, times and a narrow umask of the host do not reach the image; what may be executed stays so."""
    oci.pack(tmp_path / "layer.tar", {"usr/local": tree})
    found = members(tmp_path / "layer.tar")
    assert {(member.uid, member.gid, member.mtime, member.uname) for member in found.values()} == {(0, 0, 0, "")}
    assert found["usr/local/bin/tool"].mode == 0o755
    assert found["usr/local/notes.txt"].mode == 0o644
    assert found["usr/local/empty"].isdir()
    assert found["usr/local/bin/link"].linkname == "tool"


@pytest.mark.parametrize("name", ["layer.tar", "layer.tar.gz"])
def test_the_same_files_give_the_same_layer(name: str, tree: Path, tmp_path: Path) -> None:
    """A layer made again, from files with other times, has the same bytes."""
    oci.pack(tmp_path / name, {"usr": tree, "go": None})
    os.utime(tree / "notes.txt", (1, 1))
    (tmp_path / "again").mkdir()
    oci.pack(tmp_path / "again" / name, {"go": None, "usr": tree})
    assert (tmp_path / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_a_folder_left_out_takes_all_below_with_it(tree: Path, tmp_path: Path) -> None:
    """A folder that is not kept is not in the layer."""
    oci.pack(tmp_path / "layer.tar", {"usr": tree}, lambda name: name != "usr/bin")
    assert set(members(tmp_path / "layer.tar")) == {"usr", "usr/empty", "usr/notes.txt"}


def test_an_image_says_what_it_consists_of(tree: Path, tmp_path: Path) -> None:
    """Index, manifest and configuration name each other, and the layers compressed and not, by digest and size."""
    plain, compressed = tmp_path / "plain.tar", tmp_path / "compressed.tar.gz"
    oci.pack(plain, {"a": tree})
    oci.pack(compressed, {"b": tree})
    layout = tmp_path / "layout"
    digest = oci.write_layout(layout, [compressed, plain], oci.Settings({"PATH": "/bin", "A": "b=c"}, ["sh"]))

    [entry] = json.loads((layout / "index.json").read_text())["manifests"]
    assert entry["digest"] == digest
    assert entry["platform"] == {"architecture": "amd64", "os": "linux"}
    manifest = read(layout, digest)
    assert [layer["mediaType"].rpartition(".")[2] for layer in manifest["layers"]] == ["tar+gzip", "tar"]
    config = read(layout, manifest["config"]["digest"])
    assert config["config"] == {"Env": ["PATH=/bin", "A=b=c"], "Cmd": ["sh"]}
    contents = [gzip.decompress(compressed.read_bytes()), plain.read_bytes()]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(content).hexdigest()}" for content in contents]
    for described in [entry, manifest["config"], *manifest["layers"]]:
        data = blob(layout, described["digest"]).read_bytes()
        assert described["size"] == len(data)
        assert described["digest"] == f"sha256:{hashlib.sha256(data).hexdigest()}"


def layer(folder: Path) -> Path:
    """A layer that somebody else has made."""
    made = folder / "layer.tar.gz"
    oci.pack(made, {"usr/local/bin/pixi": None})
    return made


def test_images_share_the_layers_they_have_in_common(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A base image is a layout of its own, and what it has in common with another is on the disk once."""
    made: list[str] = []

    def root_layer(suite: str, packages: list[str], say: object, name: str = "", hook: str = "") -> Path:  # noqa: ARG001
        root = tmp_path / (name or suite) / "key" / "part" / "layer.tar.gz"
        root.parent.mkdir(parents=True)
        oci.pack(root, {f"etc/{name or suite}": None})
        made.append(name or suite)
        return root

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(debian, "root_layer", root_layer)
    tool = tree / "bin" / "tool"
    content = images.Content(
        pixi=tool, current_pixi=layer(tmp_path), python=tree, regctl=tool, cosign=tool, bundle=tree / "notes.txt"
    )
    found = images.base_images(content, lambda line: None)  # noqa: ARG005

    assert sorted(made) == ["bookworm", "sid-apptainer", "trixie", "trixie-python"]
    assert [image.reference for image in found] == list(images.IMAGES)
    assert not any(":" in str(image.layout) for image in found)
    layouts = {image.reference: image.layout for image in found}
    plain, cuda = (layouts[f"ghcr.io/prefix-dev/pixi:noble{suffix}"] for suffix in ("", "-cuda-13.0.0"))
    manifests = [
        read(layout, json.loads((layout / "index.json").read_text())["manifests"][0]["digest"])
        for layout in (plain, cuda)
    ]
    assert manifests[0]["layers"] == manifests[1]["layers"]
    shared = manifests[0]["layers"][0]["digest"]
    assert blob(plain, shared).samefile(blob(cuda, shared))
    assert "CUDA_VERSION=13.0.0" in read(cuda, manifests[1]["config"]["digest"])["config"]["Env"]


def test_the_image_of_regctl_holds_little_more_than_the_program(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the real one does: no shell, a user that is not root, and certificates to trust."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(images, "root_layers", lambda say: {})  # noqa: ARG005
    monkeypatch.setattr(images, "IMAGES", {"ghcr.io/regclient/regctl:v1": (("regctl",), images.REGCTL)})
    tool = tree / "bin" / "tool"
    content = images.Content(tool, layer(tmp_path), tree, tool, tool, tree / "notes.txt")
    [image] = images.base_images(content, lambda line: None)  # noqa: ARG005
    manifest = read(image.layout, json.loads((image.layout / "index.json").read_text())["manifests"][0]["digest"])
    config = read(image.layout, manifest["config"]["digest"])["config"]
    assert (config["Entrypoint"], config["User"]) == (["/regctl"], "appuser")
    [only] = manifest["layers"]
    with tarfile.open(blob(image.layout, only["digest"])) as opened:
        assert "etc/ssl/certs/ca-certificates.crt" in opened.getnames()
        assert opened.getmember("regctl").mode == 0o755


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("usr/local/go", True),
        ("usr/local/go/src/net/http/server.go", True),
        ("usr/local/go/src/net/http/server_test.go", False),
        ("usr/local/go/src/net/testdata", False),
        ("usr/local/go/test", False),
        ("usr/local/go/src/testing", True),
        ("usr/local/go/src/cmd", False),
        ("usr/local/bin/codegen", True),
        ("go/pkg/mod", True),
    ],
)
def test_only_what_compiles_modules_is_kept_of_go(path: str, kept: bool) -> None:  # noqa: FBT001
    """Go's own tests, documents and commands do not go into the image."""
    assert sdk_content.keep_go(path) is kept


def test_the_engine_is_told_where_its_sdks_are() -> None:
    """The engine's environment names both images by digest."""
    sdk = sdk_content.Sdk(Path("content"), "sha256:go", "sha256:python")
    assert sdk.environment == {
        "DAGGER_GO_SDK_MANIFEST_DIGEST": "sha256:go",
        "DAGGER_PYTHON_SDK_MANIFEST_DIGEST": "sha256:python",
    }
