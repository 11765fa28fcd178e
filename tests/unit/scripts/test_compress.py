"""Compression of archives: the same bytes with any number of cores, which every reader of the format reads."""

import gzip
import hashlib
import io
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.scripts import compress, listing, repack

#: Bytes of a member in these tests.
SMALL = 10_000


def data_of(size: int) -> bytes:
    """Bytes that compress to about a half, always the same."""
    return noise(size).translate(bytes(range(8)) * 32)


def noise(size: int) -> bytes:
    """Bytes that do not compress, always the same."""
    return hashlib.shake_128(b"noise").digest(size)


def cut(data: bytes, size: int) -> Iterator[bytes]:
    """The same bytes, in parts."""
    return (data[start : start + size] for start in range(0, len(data), size))


def written(data: bytes, part: int = 4096, cores: int = 1) -> bytes:
    """A file of small members, to which the data is written in parts, with some cores."""
    compress.Shared.slots = threading.Semaphore(cores)
    target = io.BytesIO()
    with compress.Members(target, SMALL) as members:
        for some in cut(data, part):
            assert members.write(some) == len(some)
    assert all(compress.Shared.slots.acquire(blocking=False) for _ in range(cores))
    return target.getvalue()


@pytest.fixture(autouse=True)
def own_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slots that other tests do not see."""
    monkeypatch.setattr(compress.Shared, "slots", threading.Semaphore(2))


def test_cores_and_parts_say_nothing() -> None:
    """One core or eight, written byte by byte or at once: the same bytes, and every slot is given back."""
    data = data_of(10 * SMALL + 1)
    found = {written(data, part, cores) for part in (7, 4096, SMALL, len(data)) for cores in (1, 2, 8)}
    assert len(found) == 1


@pytest.mark.parametrize("size", [0, 1, SMALL - 1, SMALL, SMALL + 1, 3 * SMALL])
def test_members_are_one_file_of_gzip(size: int) -> None:
    """Each has the same number of bytes but the last; none is empty but that of an empty archive."""
    data = data_of(size)
    made = written(data)
    assert gzip.decompress(made) == data
    sizes, rest = [], made
    while rest:
        assert rest.startswith(b"\x1f\x8b\x08\0\0\0\0\0")  # no name, no time
        member = zlib.decompressobj(wbits=31)
        sizes.append(len(member.decompress(rest)))
        assert member.eof
        rest = member.unused_data
    assert sizes == ([len(part) for part in cut(data, SMALL)] or [0])


def test_own_readers_read_all_members(tmp_path: Path) -> None:
    """A reader that ends after the first member would take a part of the layer for all of it."""
    data = data_of(5 * SMALL)
    (tmp_path / "blob").write_bytes(written(data))
    with (tmp_path / "blob").open("rb") as file, repack.decompressed(file) as plain:
        assert plain.read() == data
    unpacked = listing.Unpacked(io.BytesIO(written(data)), listing.Allowance(len(data)))
    assert b"".join(iter(lambda: unpacked.read(999), b"")) == data


def test_what_fails_halfway_gives_its_slots_back() -> None:
    """Other layers wait for them, and would wait for ever."""

    class Full(io.BytesIO):
        def write(self, _: object) -> int:
            raise OSError(28, "No space left on device")

    def write(target: io.BytesIO) -> None:
        with compress.Members(target, SMALL) as members:
            members.write(data_of(10 * SMALL))
            raise FileNotFoundError(2, "gone")

    for target, reason in ((io.BytesIO(), "gone"), (Full(), "No space left")):
        with pytest.raises(OSError, match=reason):
            write(target)
        assert [compress.Shared.slots.acquire(blocking=False) for _ in range(3)] == [True, True, False]
        for _ in range(2):
            compress.Shared.slots.release()


def test_layers_that_share_a_core_all_come_to_their_end() -> None:
    """More files at once than slots, each of more members: none keeps a slot while it waits for another."""
    compress.Shared.slots = threading.Semaphore(2)
    data, found = data_of(20 * SMALL), []

    def make() -> None:
        target = io.BytesIO()
        with compress.Members(target, SMALL) as members:
            members.write(data)
        found.append(target.getvalue())

    threads = [threading.Thread(target=make, daemon=True) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert set(found) == {written(data)}


@pytest.mark.parametrize(
    ("compression", "number", "digest"),
    [
        ("gzip", 2, "fefa618a5d53006e38fca06626e1f67cff086ef9f4208d81c9a567823e869f87"),
        ("zstd", 1, "fdf26ed7e3b3161ba97060dfa66d4d334bb89599b00ce375f4fb89222077c429"),
        ("zstd", 2, "fdf26ed7e3b3161ba97060dfa66d4d334bb89599b00ce375f4fb89222077c429"),
    ],
)
def test_a_format_is_the_same_bytes_for_ever(compression: str, number: int, digest: str) -> None:
    """Published digests depend on it: where this fails, what changed is a new format (see ``layer_format``).

    The zlib of format 1 is that of the tool image, which tools.lock pins.
    """
    target = io.BytesIO()
    with compress.open_compressed(compression, number, target) as file:
        # A program, text and noise: each kind of block that deflate has.
        file.write(data_of(300_000) + b"text of a line\n" * 5_000 + noise(70_000))
    assert hashlib.sha256(target.getvalue()).hexdigest() == digest
    assert compress.MEMBER == 32 * 1024 * 1024
