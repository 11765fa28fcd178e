"""Layers that an engine exported are archived and compressed again: the files decide about the bytes."""

import gzip
import io
import tarfile
from pathlib import Path

import pytest
from backports import zstd

from pipeline.scripts import repack

LONG = "a/" * 70 + "name-beyond-a-hundred-characters"


def entries() -> list[tarfile.TarInfo]:
    """One entry of each kind that a layer has."""
    made = []

    def add(name: str, kind: bytes = tarfile.REGTYPE, **fields: object) -> None:
        entry = tarfile.TarInfo(name)
        entry.type = kind
        for field, value in {"mode": 0o644, "mtime": 1_700_000_000, **fields}.items():
            setattr(entry, field, value)
        made.append(entry)

    add("folder", tarfile.DIRTYPE, mode=0o1777)
    add("folder/file", size=5, uid=1000, gid=3_000_000)
    add("folder/hard", tarfile.LNKTYPE, linkname="folder/file")
    add("folder/soft", tarfile.SYMTYPE, linkname=LONG)
    add("folder/.wh.gone", size=0)
    add(LONG, size=0, mode=0o4755)
    add("naïve", size=0, mtime=1_700_000_000.25)
    add("device", tarfile.CHRTYPE, devmajor=1, devminor=3)
    add(
        "ping",
        size=0,
        pax_headers={"SCHILY.xattr.security.capability": b"\x01\x00\xff\x02".decode(errors="surrogateescape")},
    )
    return made


def archive(form: int, **fields: object) -> bytes:
    """An archive of the entries in a form, with fields that say nothing of a file."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as made:
        for entry in entries():
            for field, value in fields.items():
                setattr(entry, field, value)
            made.addfile(entry, io.BytesIO(b"x" * entry.size) if entry.isreg() else None)
    return file.getvalue()


def rewritten(data: bytes) -> bytes:
    """The same archive, written again."""
    target = io.BytesIO()
    repack.rewrite(io.BytesIO(data), target)
    return target.getvalue()


def test_every_kind_of_entry_stays_as_it_is() -> None:
    """Names, modes, owners, times, links, devices, whiteouts, attributes and content, in their order."""
    with tarfile.open(fileobj=io.BytesIO(rewritten(archive(tarfile.PAX_FORMAT)))) as found:
        for entry, member in zip(entries(), found, strict=True):
            fields = ("name", "type", "mode", "uid", "gid", "mtime", "linkname", "size", "devmajor", "devminor")
            assert {key: getattr(member, key) for key in fields} == {key: getattr(entry, key) for key in fields}
            assert member.pax_headers.items() >= entry.pax_headers.items()
            if content := found.extractfile(member) if member.isreg() else None:
                assert content.read() == b"x" * entry.size


def test_the_form_of_an_archive_says_nothing() -> None:
    """Records that repeat fields, names of owners, and a second pass change no byte."""
    plain = rewritten(archive(tarfile.PAX_FORMAT))
    assert rewritten(plain) == plain
    assert rewritten(archive(tarfile.PAX_FORMAT, uname="root", gname="wheel")) == plain


def test_an_older_form_makes_the_same_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    """GNU's, which has neither fractions of a second nor attributes."""
    kept = [entry for entry in entries() if entry.name not in {"ping", "naïve"}]
    monkeypatch.setattr(f"{__name__}.entries", lambda: kept)
    assert rewritten(archive(tarfile.GNU_FORMAT)) == rewritten(archive(tarfile.PAX_FORMAT))


@pytest.mark.parametrize("compress", [gzip.compress, zstd.compress, bytes])
def test_any_compression_is_read(compress: type[bytes], tmp_path: Path) -> None:
    """By the first bytes of the blob, whatever its media type says."""
    blob = tmp_path / "blob"
    blob.write_bytes(compress(b"an archive"))
    with blob.open("rb") as file, repack.decompressed(file) as plain:
        assert plain.read() == b"an archive"
