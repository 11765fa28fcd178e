"""Entries of layers that unpackers for CVMFS trip on: which they are, and that those of our own layers are seen."""

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.scripts import check_layers, pack
from pipeline.scripts.check_layers import NAMED, Layer, find


def entry(name: str, kind: bytes = tarfile.REGTYPE, **fields: object) -> tarfile.TarInfo:
    """An entry with the mode that most have."""
    made = tarfile.TarInfo(name)
    made.type = kind
    for field, value in {"mode": 0o755 if kind == tarfile.DIRTYPE else 0o644, **fields}.items():
        setattr(made, field, value)
    return made


def folder(name: str, mode: int = 0o755) -> tarfile.TarInfo:
    """A folder."""
    return entry(name, tarfile.DIRTYPE, mode=mode)


def link(name: str, target: str) -> tarfile.TarInfo:
    """A symbolic link."""
    return entry(name, tarfile.SYMTYPE, linkname=target)


def hard(name: str, target: str) -> tarfile.TarInfo:
    """A hard link."""
    return entry(name, tarfile.LNKTYPE, linkname=target)


SOUND = [
    [folder("./"), folder("./usr"), folder("usr/lib"), link("lib", "usr/lib"), folder("tmp", 0o1777), entry("usr/a")],
    [folder("usr/"), folder("usr/lib/"), entry("usr/lib/a"), hard("usr/lib/b", "./usr/lib/a"), folder("srv", 0o700)],
    # A link is replaced by a folder, a folder is emptied, and a file is removed.
    [
        folder("lib"),
        entry("lib/c"),
        folder("usr"),
        entry("usr/.wh.a"),
        folder("usr/lib"),
        entry("usr/lib/.wh..wh..opq"),
    ],
    # A folder without an entry gets the mode that it had.
    [entry("usr/lib/d", uid=65535, gid=65535), entry("e", mode=0o4711), entry("f", tarfile.FIFOTYPE)],
]


def test_sound_layers_have_no_findings() -> None:
    """Modes of all kinds, links and replacements that every unpacker understands; removed paths are not counted."""
    report = find([Layer(entries) for entries in SOUND])
    assert (report.found, report.found_in_base) == ({}, {})
    left = {"usr", "usr/lib", "usr/lib/d", "lib", "lib/c", "tmp", "srv", "e", "f"}
    assert (report.layers, report.paths) == (4, len(left))


@pytest.mark.parametrize(
    ("kind", "layers", "path"),
    [
        ("folder", [[folder("a", 0o555)]], "/a"),
        ("folder", [[folder("a", 0o655)]], "/a"),
        ("file", [[entry("a", mode=0o044)]], "/a"),
        ("id", [[entry("a", uid=65536)]], "/a"),
        ("id", [[link("a", "b")], [folder("c"), entry("c/d", gid=4294967295)]], "/c/d"),
        ("device", [[entry("dev/null", tarfile.CHRTYPE)]], "/dev/null"),
        ("device", [[entry("a", tarfile.BLKTYPE)]], "/a"),
        ("hardlink", [[entry("a")], [hard("b", "a")]], "/b"),
        ("hardlink", [[folder("a"), hard("b", "a")]], "/b"),
        ("through", [[folder("usr"), link("lib", "usr")], [entry("lib/a")]], "/lib/a"),
        ("through", [[folder("usr"), link("lib", "usr")], [folder("lib/a")]], "/lib/a"),
        ("through", [[link("lib", "usr"), entry("lib/a")]], "/lib/a"),
        ("parent", [[folder("work", 0o1777)], [entry("work/a")]], "/work"),
        ("parent", [[folder("a", 0o700)], [folder("a/b"), entry("a/b/c")]], "/a"),
        ("twice", [[entry("a"), entry("./a")]], "/a"),
        ("twice", [[folder("a"), link("a", "b")]], "/a"),
        ("reserved", [[folder("a"), entry("a/.cvmfscatalog")]], "/a/.cvmfscatalog"),
        ("variable", [[link("a", "b/$(HOME)")]], "/a"),
    ],
)
def test_each_kind_is_found(kind: str, layers: Sequence[Sequence[tarfile.TarInfo]], path: str) -> None:
    """Each by itself, with its path."""
    report = find([Layer(entries) for entries in layers])
    assert report.found == {kind: [path]}
    assert report.counts == {kind: 1}


def test_a_removed_link_hides_nothing() -> None:
    """A path that a layer removes and makes again as a folder is a folder, in whatever order its entries are."""
    lowest = [folder("usr"), link("lib", "usr"), folder("tmp", 0o1777)]
    upper = [entry("lib/a"), entry(".wh.lib"), entry("tmp/a"), entry(".wh.tmp")]
    assert find([Layer(lowest), Layer(upper)]).found == {}


def test_what_the_base_has_is_said_apart() -> None:
    """Its modes do not count; the rest keeps the image from CVMFS, too."""
    base = Layer([folder("usr", 0o555), entry("a", mode=0), entry("null", tarfile.CHRTYPE)], of_base=True)
    report = find([base, Layer([folder("b", 0o500)])])
    assert report.found_in_base == {"device": ["/null"]}
    assert report.found == {"folder": ["/b"]}


def test_many_paths_are_counted_and_not_all_named() -> None:
    """The report stays small."""
    report = find([Layer([folder(f"a{number:03}", 0o555) for number in range(100)])])
    assert report.counts == {"folder": 100}
    assert report.found["folder"] == [f"/a{number:03}" for number in range(NAMED)]


def test_paths_that_differ_only_in_case_are_counted() -> None:
    """Files and links; two folders of that kind have their files together on such a file system."""
    names = [folder("T"), folder("t"), entry("T/a"), entry("t/A"), entry("t/b"), link("ß", "t"), link("SS", "t")]
    assert find([Layer(names)]).joined == 4


def test_the_layers_of_an_image_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Those of its archive, below the topmost one those of its environment as they are packed, and the base's types."""
    root = tmp_path / "root"
    closed = root / "app/env/closed"
    closed.mkdir(parents=True)
    (closed / ".cvmfscatalog").touch()
    closed.chmod(0o555)
    (tmp_path / "layers.json").write_text(json.dumps({"0": ["closed/.cvmfscatalog"]}))
    blobs = {}
    for number, entries in enumerate([[entry("null", tarfile.CHRTYPE)], [folder("app"), folder("app/env", 0o755)]]):
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for each in entries:
                tar.addfile(each)
        blobs[f"sha256:{number}"] = archive.getvalue()
    base = [{"mediaType": f"{pack.MEDIA_TYPE}+zstd", "digest": "sha256:0", "size": 1, "diff_id": "d0"}]
    config = {"rootfs": {"diff_ids": ["d0", "d1"]}}
    manifest = {"layers": [{"digest": digest} for digest in blobs], "config": {"digest": "sha256:c"}}
    index = {"manifests": [{"digest": "sha256:m"}]}
    files = {f"blobs/{digest.replace(':', '/')}": data for digest, data in blobs.items()}
    for name, content in {"index.json": index, "blobs/sha256/m": manifest, "blobs/sha256/c": config}.items():
        files[name] = json.dumps(content).encode()
    with tarfile.open(tmp_path / "image.tar", "w") as tar:
        for name, data in files.items():
            tar.addfile(entry(name, size=len(data)), io.BytesIO(data))
    (tmp_path / "base.json").write_text(json.dumps(base))
    arguments = (f"{tmp_path}/image.tar", f"{tmp_path}/base.json", str(root), "/app/env", f"{tmp_path}/layers.json")
    assert check_layers.main(*arguments) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["found"] == {"folder": ["/app/env/closed"], "reserved": ["/app/env/closed/.cvmfscatalog"]}
    assert report["found_in_base"] == {"device": ["/null"]}
    assert (report["layers"], report["types_of_base"]) == (3, [base[0]["mediaType"]])
    closed.chmod(0o755)
