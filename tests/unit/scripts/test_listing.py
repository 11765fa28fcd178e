"""Two layers are compared entry by entry, two documents key by key."""

import gzip
import hashlib
import io
import resource
import tarfile
import tracemalloc
from collections.abc import Callable

import pytest
from backports import zstd

from pipeline.scripts import listing
from pipeline.scripts.listing import Allowance, Entry, compare_documents, compare_layers, pair
from pipeline.scripts.messages import Difference


def make(*members: tarfile.TarInfo, content: bytes = b"text") -> bytes:
    """A layer with some entries, of which files have the same content."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for member in members:
            if member.isreg():
                member.size = len(content)
            archive.addfile(member, io.BytesIO(content) if member.isreg() else None)
    return data.getvalue()


def entry(name: str, **values: object) -> tarfile.TarInfo:
    """An entry of a layer, a file unless it says otherwise."""
    member = tarfile.TarInfo(name)
    for key, value in values.items():
        setattr(member, key, value)
    return member


def read(layer: bytes, limit: int = 1_000_000) -> dict[str, Entry]:
    """The entries of a layer."""
    return listing.read(io.BytesIO(layer), Allowance(limit))


@pytest.mark.parametrize(
    ("changed", "what", "published", "built"),
    [
        ({"mode": 0o755}, "mode", "0644", "0755"),
        ({"mtime": 1}, "time", "0", "1"),
        ({"uid": 1}, "owner", "0:0", "1:0"),
        ({"pax_headers": {"SCHILY.xattr.user.a": "b"}}, "attributes", "", "SCHILY.xattr.user.a=b"),
    ],
)
def test_what_of_an_entry_differs_is_named(changed: dict[str, object], what: str, published: str, built: str) -> None:
    """A file with another mode, time, owner or attribute is named with both values, and nothing else is."""
    found = compare_layers("layer 1", read(make(entry("a"))), read(make(entry("a", **changed))))
    assert found == [Difference("layer 1", "a", what, published, built)]


def test_content_and_size_are_compared() -> None:
    """A file with other bytes differs in its content, and in its size where that is another one."""
    one = read(make(entry("a"), content=b"one"))
    assert [found.what for found in compare_layers("", one, read(make(entry("a"), content=b"two")))] == ["content"]
    longer = compare_layers("", one, read(make(entry("a"), content=b"longer")))
    assert [(found.what, found.built) for found in longer if found.what == "size"] == [("size", "6")]


def test_files_that_one_layer_alone_has_are_named() -> None:
    """A file that only the published image has was removed, one that only the built image has was added."""
    found = compare_layers("", read(make(entry("old"))), read(make(entry("new", type=tarfile.DIRTYPE))))
    assert [(one.path, one.what, one.published, one.built) for one in found] == [
        ("new", "added", "", "folder"), ("old", "removed", "file", ""),
    ]  # fmt: skip


def test_a_link_to_elsewhere_differs_in_its_target() -> None:
    """The target of a link is reported on both sides."""
    links = [read(make(entry("a", type=tarfile.SYMTYPE, linkname=name))) for name in ("b", "c")]
    assert [(one.what, one.published, one.built) for one in compare_layers("", *links)] == [("link", "b", "c")]


def test_layers_that_hold_the_same_differ_in_order_or_compression() -> None:
    """If no entry differs, the report names their order or their compression."""
    one, other = make(entry("a"), entry("b")), make(entry("b"), entry("a"))
    assert [found.what for found in compare_layers("", read(one), read(other))] == ["order"]
    assert [found.what for found in compare_layers("", read(one), read(gzip.compress(one)))] == ["compression"]


@pytest.mark.parametrize("compress", [gzip.compress, zstd.compress, bytes])
def test_a_layer_is_read_however_it_is_compressed(compress: Callable[[bytes], bytes]) -> None:
    """The content does not depend on the compression."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a"))
    assert list(read(compress(plain.getvalue()))) == ["a"]


def test_a_layer_is_read_in_little_memory_whatever_it_unpacks_to() -> None:
    """300 kB of gzip may unpack to 300 MB, so it is never unpacked as a whole."""
    size = 10_000_000
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo("zeros")
        member.size = size
        archive.addfile(member, io.BytesIO(bytes(size)))
    tracemalloc.start()
    try:
        found = read(packed.getvalue(), size + 100_000)
        assert tracemalloc.get_traced_memory()[1] < size / 2
    finally:
        tracemalloc.stop()
    assert found["zeros"].content == hashlib.sha256(bytes(size)).hexdigest()


def test_a_layer_may_not_unpack_to_any_size() -> None:
    """Beyond the limit it is not read further, be it files or holes in one."""
    with pytest.raises(ValueError, match=r"^it cannot be read: what is compared of the image has more than 1e-05 GB"):
        read(gzip.compress(make(entry("a"), content=bytes(20_000))), 10_000)
    hole = entry("a", pax_headers={"GNU.sparse.map": "0,0", "GNU.sparse.size": "9000000000"})
    with pytest.raises(ValueError, match=r"more than 1 GB unpacked$"):
        read(make(hole, content=b""), 1_000_000_000)


def test_the_limit_is_one_for_all_layers_of_an_image() -> None:
    """An image of many small bombs is a large one."""
    allowance = Allowance(30_000)
    layer = make(entry("a"), content=bytes(5_000))
    listing.read(io.BytesIO(layer), allowance)
    with pytest.raises(ValueError, match=r"unpacked$"):
        listing.read(io.BytesIO(make(entry("a"), content=bytes(25_000))), allowance)


def test_a_layer_may_not_take_any_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its headers have a limit too, which ends with the layer; one of 40 MB is beyond what Python has at hand."""
    monkeypatch.setattr(listing, "MEMORY", 1)
    before = resource.getrlimit(resource.RLIMIT_AS)
    with pytest.raises(ValueError, match=r"^it cannot be read: reading it takes more than 1e-09 GB of memory$"):
        read(make(entry("a", pax_headers={"comment": "a" * 40_000_000})), 100_000_000)
    assert resource.getrlimit(resource.RLIMIT_AS) == before


@pytest.mark.parametrize(
    "layer", [b"", b"text" * 200, gzip.compress(b"", mtime=0)[:-1], b"\x1f\x8b\x08\0\0\0\0\0\0\0\xff"]
)
def test_a_layer_that_is_no_archive_is_a_difference(layer: bytes) -> None:
    """Empty, text, cut off, and not what it says that it is."""
    with pytest.raises(ValueError, match=r"^it cannot be read: ."):
        read(layer)


def test_documents_are_compared_by_key() -> None:
    """Each value that differs is reported by its path; equal values are not."""
    old = {"config": {"Env": ["A=1", "B=2"], "User": ""}, "gone": 1}
    new = {"config": {"Env": ["A=1", "B=3"], "User": ""}, "more": None}
    found = compare_documents("configuration", old, new)
    assert [(one.path, one.what, one.published, one.built) for one in found] == [
        ("config.Env[1]", "value", "B=2", "B=3"), ("gone", "removed", "1", ""), ("more", "added", "", "None"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("published", "built", "expected"),
    [
        ("abc", "abc", []),
        ("abc", "axc", [("b", "x")]),
        ("abc", "ac", [("b", None)]),
        ("ac", "abc", [(None, "b")]),
        ("abcd", "axyd", [("b", "x"), ("c", "y")]),
        ("xb", "yb", [("x", "y")]),
    ],
)
def test_layers_are_paired_by_their_place(published: str, built: str, expected: list[object]) -> None:
    """Layers that both images have are left out; the others are compared between the same neighbours."""
    assert pair(published, built) == expected
