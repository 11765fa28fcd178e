"""The layers of an environment: archives of its files, the same bytes wherever they are made."""

import gzip
import hashlib
import io
import json
import os
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from backports import zstd

from pipeline.scripts import compress, listing, pack
from pipeline.scripts.folders import TIME

#: Paths in the environment, by their layer.
LAYERS = {
    "1-large": ["bin/tool", "lib/liblarge.so", "lib/liblarge.so.1"],
    "4-rest": ["conda-meta/history", "lib/large-notes", "var/empty"],
}


def install(root: Path) -> Path:
    """A root with an environment, which has one time, and a folder above it that has another."""
    prefix = root / "app/env"
    files = {"bin/tool": "#!", "lib/liblarge.so.1": "x" * 3_000_000, "conda-meta/history": "", "lib/large-notes": "n"}
    for path, text in files.items():
        (prefix / path).parent.mkdir(parents=True, exist_ok=True)
        (prefix / path).write_text(text)
        (prefix / path).chmod(0o644)
    (prefix / "bin/tool").chmod(0o755)
    (prefix / "lib/liblarge.so").symlink_to("liblarge.so.1")
    (prefix / "var/empty").mkdir(parents=True)
    for found in [prefix, *prefix.rglob("*")]:
        if found.is_dir():
            found.chmod(0o755)
        os.utime(found, (TIME, TIME), follow_symlinks=False)
    (root / "app").chmod(0o700)
    (root / "layers.json").write_text(json.dumps(LAYERS))
    return root


def packed(root: Path, compression: str = "gzip", folder: str = "out", number: int = 2) -> list[pack.Packed]:
    """Run the command on a root."""
    rest = [str(path) for path in (root / "store", root / folder, root / "packed.json")]
    assert pack.main(str(root), "/app/env", str(root / "layers.json"), compression, str(number), *rest) == 0
    found: list[pack.Packed] = json.loads((root / "packed.json").read_text())
    return found


def members(data: bytes) -> dict[str, tarfile.TarInfo]:
    """The members of an archive by their paths, in its order."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {member.name: member for member in archive}


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_a_layer_is_a_blob_that_is_what_it_says(tmp_path: Path, compression: str) -> None:
    """Digest, size, kind of compression and digest of the archive are those of the blob; nothing else is there."""
    layers = packed(install(tmp_path), compression)
    blobs = {f"sha256:{path.name}": path.read_bytes() for path in (tmp_path / "out/blobs/sha256").iterdir()}
    assert blobs.keys() == {layer["digest"] for layer in layers}
    decompress = gzip.decompress if compression == "gzip" else zstd.decompress
    for layer in layers:
        data = blobs[layer["digest"]]
        assert f"sha256:{hashlib.sha256(data).hexdigest()}" == layer["digest"]
        assert f"sha256:{hashlib.sha256(decompress(data)).hexdigest()}" == layer["diff_id"]
        assert (len(data), f"application/vnd.oci.image.layer.v1.tar+{compression}") == (
            layer["size"],
            layer["mediaType"],
        )


def test_layers_are_in_the_order_of_their_names_and_hold_their_files(tmp_path: Path) -> None:
    """Each entry comes after the folders it is in; links stay links, empty folders are kept, modes are those found."""
    first, rest = (
        members((tmp_path / "out/blobs/sha256" / layer["digest"].removeprefix("sha256:")).read_bytes())
        for layer in packed(install(tmp_path))
    )
    assert list(first) == [
        "app", "app/env", "app/env/bin", "app/env/bin/tool", "app/env/lib", "app/env/lib/liblarge.so",
        "app/env/lib/liblarge.so.1",
    ]  # fmt: skip
    assert list(rest)[-2:] == ["app/env/var", "app/env/var/empty"]
    assert first["app/env/lib/liblarge.so"].linkname == "liblarge.so.1"
    assert (first["app/env/bin/tool"].mode, first["app/env/lib/liblarge.so.1"].size) == (0o755, 3_000_000)
    assert rest["app/env/var/empty"].isdir()


def test_a_layer_says_nothing_of_where_it_was_made(tmp_path: Path) -> None:
    """The same files below another root, of another owner, below a folder of another mode: the same digest.

    Not even the folders above the environment, which are the machine's, say anything.
    """
    one, other = install(tmp_path / "one"), install(tmp_path / "other")
    (other / "app").chmod(0o755)
    os.utime(other / "app", (1, 1))
    for path in [other, *other.rglob("*")]:
        os.chown(path, 12345, 12345, follow_symlinks=False)
    layers = packed(one)
    assert layers == packed(other)
    for layer in layers:
        found = members((one / "out/blobs/sha256" / layer["digest"].removeprefix("sha256:")).read_bytes())
        assert {(member.uid, member.gid, member.uname, member.mtime) for member in found.values()} == {(0, 0, "", TIME)}


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_the_number_of_cores_says_nothing(tmp_path: Path, compression: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made one after the other or all at once, layers are the same bytes."""
    found = []
    for cores in (1, 4):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        found.append(packed(install(tmp_path / str(cores)), compression))
    assert found[0] == found[1]


def test_what_is_awkward_is_packed_as_it_is(tmp_path: Path) -> None:
    """A folder that nobody may write to, a setuid bit, links that lead out, a file by two names, names of any kind."""
    names = ["two words", "Größe", "日本語", "new\nline", "no\udcffutf-8", "-n", "back\\slash", "n" * 200]
    root = install(tmp_path)
    closed = root / "app/env/closed"
    closed.mkdir()
    for name in names:
        (closed / name).write_bytes(os.fsencode(name))
    (closed / "setuid").write_text("")
    (closed / "setuid").chmod(0o4755)
    (closed / "other").hardlink_to(closed / "two words")
    (closed / "file").symlink_to("/etc/passwd")
    (closed / "folder").symlink_to("/usr")
    closed.chmod(0o555)
    there = [*names, "setuid", "other", "file", "folder"]
    (root / "layers.json").write_text(json.dumps({"4-rest": [f"closed/{name}" for name in there]}))
    (layer,) = packed(root)
    data = (root / "out/blobs/sha256" / layer["digest"].removeprefix("sha256:")).read_bytes()
    found = members(data)
    assert set(found) == {"app", "app/env", "app/env/closed", *(f"app/env/closed/{name}" for name in there)}
    assert (found["app/env/closed"].mode, found["app/env/closed/setuid"].mode) == (0o555, 0o4755)
    assert [found[f"app/env/closed/{name}"].linkname for name in ("file", "folder")] == ["/etc/passwd", "/usr"]
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for name in names:
            file = archive.extractfile(f"app/env/closed/{name}")
            assert file is not None
            assert file.read() == os.fsencode(name)
        # Each name is a file of its own: that it is the other one, too, says nothing in an image.
        assert found["app/env/closed/other"].isreg()
    entries = listing.read(io.BytesIO(data), listing.Allowance(1_000_000))
    listed = {path: entry.kind for path, entry in entries.items()}
    assert json.loads(json.dumps(sorted(listed)).encode()) == sorted(listed)
    assert listed["app/env/closed/no\\udcffutf-8"] == "file"


def test_folders_come_before_what_sorts_before_them() -> None:
    """A folder and what is in it stay together, whatever characters names have."""
    assert list(pack.with_folders(["a/b", "a-c", "a/b/c"])) == ["a", "a/b", "a/b/c", "a-c"]


def test_nothing_is_named_that_is_not_whole(tmp_path: Path) -> None:
    """A file that went missing ends it, and its layer is no blob."""
    root = install(tmp_path)
    (root / "app/env/lib/liblarge.so.1").unlink()
    with pytest.raises(FileNotFoundError, match=r"liblarge\.so\.1"):
        packed(root)
    assert not (root / "packed.json").exists()


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_a_layer_is_compressed_once(tmp_path: Path, compression: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer in the store is taken; of an environment that changed, the changed layer alone is compressed."""
    root = install(tmp_path)
    first = packed(root, compression)
    (root / "app/env/lib/large-notes").write_text("changed")
    os.utime(root / "app/env/lib/large-notes", (TIME, TIME))
    compressed: list[BinaryIO] = []

    def noted(compression: str, number: int, target: BinaryIO) -> Any:  # noqa: ANN401  # as there
        compressed.append(target)
        return compress.open_compressed(compression, number, target)

    monkeypatch.setattr(compress, "ProcessPoolExecutor", ThreadPoolExecutor)
    monkeypatch.setattr(pack, "open_compressed", noted)
    second = packed(root, compression, "second")
    assert len(compressed) == 1
    assert (second[0], second[1]["diff_id"] == first[1]["diff_id"]) == (first[0], False)
    names = {path.name for path in (root / "second/blobs/sha256").iterdir()}
    assert names == {layer["digest"].removeprefix("sha256:") for layer in second}


def test_a_damaged_blob_is_made_again(tmp_path: Path) -> None:
    """A file whose content does not match its name is no blob, whatever cut it off."""
    root = install(tmp_path)
    first = packed(root)
    for path in (root / "store").glob("*/*"):
        path.write_bytes(path.read_bytes()[:-1])
    assert packed(root, folder="second") == first
    for layer in first:
        data = (root / "second/blobs/sha256" / layer["digest"].removeprefix("sha256:")).read_bytes()
        assert f"sha256:{hashlib.sha256(data).hexdigest()}" == layer["digest"]


def test_another_format_takes_nothing_of_the_first(tmp_path: Path) -> None:
    """Its blobs would be other bytes: the same files would be another image where the store has something."""
    root = install(tmp_path)
    packed(root)
    packed(root, folder="second", number=1)
    assert len({path.parent for path in (root / "store").glob("*/*")}) == 2


def test_what_is_not_used_is_removed(tmp_path: Path) -> None:
    """After thirty days; what was used meanwhile stays."""
    root = install(tmp_path)
    packed(root)
    old = root / "store/gzip-old/blob"
    old.parent.mkdir()
    old.write_text("")
    for path in (root / "store").glob("*/*"):
        os.utime(path, (time.time() - pack.KEPT - 1,) * 2)
    packed(root, folder="second")
    assert len(list((root / "store").glob("*/*"))) == len(LAYERS)
    assert not old.exists()
