"""Writes conda packages: an archive of files, and beside it what the package is and a hash of each file.

The same files give the same bytes: names are sorted, times are fixed, nobody owns anything. That is why the archive
is written here with the standard library: conda-package-streaming, which writes the same format, dates its parts by
the clock.
"""

import hashlib
import io
import json
import os
import tarfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from backports import zstd

#: The time of every file in every package: 2026-01-01 in UTC.
EPOCH: Final = 1_767_225_600
#: Stands for the environment's folder in the files of a package; installers put the real one there. It is short, since
#: scripts start with it and the kernel reads 127 characters of such a line.
PREFIX: Final = "/opt/anaconda1anaconda2anaconda3"
#: Files above this many bytes are programs and data, and are not searched for the prefix.
_SEARCHED: Final = 4 << 20
#: The lowest level: packing is what people wait for, and nobody downloads these over a slow line.
_COMPRESSION: Final[Mapping[int, int]] = {
    zstd.CompressionParameter.compression_level: 1,
    zstd.CompressionParameter.nb_workers: 2,
    zstd.CompressionParameter.checksum_flag: 1,
}

type Files = Path | Mapping[str, bytes | str]


@dataclass(frozen=True)
class About:
    """What a package is, for people: its licence as its metadata says, one line about it, its home page."""

    license: str = "None"
    summary: str = ""
    home: str = ""


def write(  # noqa: PLR0913 -- a package has as many properties
    folder: Path,
    name: str,
    version: str,
    build: str,
    files: Files,
    *,
    depends: Sequence[str] = (),
    constrains: Sequence[str] = (),
    noarch: Literal["python", "generic"] | None = None,
    entry_points: Sequence[str] = (),
    about: About | None = None,
) -> Path:
    """Write `<folder>/<linux-64 or noarch>/<name>-<version>-<build>.conda` and return its path.

    Args:
        folder: the channel, or any folder.
        name: as in conda-forge.
        version: of the package.
        build: the build string; the number after its last underscore is the build number (0 where there is none).
        files: a folder that looks like the environment, or contents by path: text and bytes; those in `bin/` can be
            executed. Files that hold `PREFIX` are declared, so that the installer puts the environment's folder there.
        depends: specifications such as "numpy >=2,<3".
        constrains: the same, for packages that need not be there.
        noarch: "python" for modules in `site-packages/` that fit every Python, "generic" for plain files.
        entry_points: scripts that the installer makes for noarch Python packages: "name = module:function".
        about: see there.
    """
    about = about or About()
    subdir = "noarch" if noarch else "linux-64"
    stem = f"{name}-{version}-{build}"
    target = folder / subdir / f"{stem}.conda"
    target.parent.mkdir(parents=True, exist_ok=True)
    # In a clone of a channel it is a link to the cache's own.
    target.unlink(missing_ok=True)
    number = build.rpartition("_")[2]
    index = {
        "name": name,
        "version": version,
        "build": build,
        "build_number": int(number) if number.isdecimal() else 0,
        "depends": list(depends),
        "constrains": list(constrains),
        "license": about.license,
        "subdir": subdir,
        "timestamp": EPOCH * 1000,
        **({"noarch": noarch} if noarch else {"arch": "x86_64", "platform": "linux"}),
    }
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, "metadata.json", json.dumps({"conda_pkg_format_version": 2}).encode())
        with _archive(archive, f"pkg-{stem}.tar.zst") as tar:
            paths = [_add_file(tar, *entry) for entry in _entries(files)]
        described: dict[str, object] = {
            "about.json": {"license": about.license, "summary": about.summary, "home": about.home},
            "index.json": index,
            "paths.json": {"paths": paths, "paths_version": 1},
        }
        if noarch == "python":
            link = {"type": "python", "entry_points": list(entry_points)}
            described["link.json"] = {"noarch": link, "package_metadata_version": 1}
        with _archive(archive, f"info-{stem}.tar.zst") as tar:
            for file, content in sorted(described.items()):
                _add_bytes(tar, f"info/{file}", json.dumps(content, indent=1, sort_keys=True).encode(), 0o644)
    return target


def _entries(files: Files) -> Iterator[tuple[str, Path | bytes, int]]:
    """Path in the package, where its content is, and mode; in order."""
    if isinstance(files, Path):
        found = (path for path in files.rglob("*") if path.is_symlink() or path.is_file())
        for name, path in sorted((path.relative_to(files).as_posix(), path) for path in found):
            yield name, path, 0o755 if path.lstat().st_mode & 0o100 else 0o644
    else:
        for name, content in sorted(files.items()):
            data = content.encode() if isinstance(content, str) else content
            yield name, data, 0o755 if name.startswith("bin/") else 0o644


def _add_file(tar: tarfile.TarFile, name: str, source: Path | bytes, mode: int) -> dict[str, object]:
    """Add a file or link to the archive; returns its line in paths.json."""
    if isinstance(source, Path) and source.is_symlink():
        member = _member(name, 0, 0o777)
        member.type, member.linkname = tarfile.SYMTYPE, str(source.readlink())
        tar.addfile(member)
        # Links have no content of their own: what conda-build writes is the hash of the target's, or of nothing.
        digest = hashlib.sha256(source.read_bytes() if source.is_file() else b"").hexdigest()
        return {"_path": name, "path_type": "softlink", "sha256": digest, "size_in_bytes": 0}
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    line: dict[str, object] = {"_path": name, "path_type": "hardlink", "size_in_bytes": size}
    if isinstance(source, Path) and size > _SEARCHED:
        with source.open("rb") as stream:
            line["sha256"] = hashlib.file_digest(stream, "sha256").hexdigest()
            stream.seek(0)
            tar.addfile(_member(name, size, mode), stream)
        return line
    data = source if isinstance(source, bytes) else source.read_bytes()
    line["sha256"] = hashlib.sha256(data).hexdigest()
    if PREFIX.encode() in data:
        line |= {"prefix_placeholder": PREFIX, "file_mode": "binary" if b"\0" in data else "text"}
    _add_bytes(tar, name, data, mode)
    return line


def _add_bytes(tar: tarfile.TarFile, name: str, data: bytes, mode: int) -> None:
    tar.addfile(_member(name, len(data), mode), io.BytesIO(data))


def _member(name: str, size: int, mode: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, mode, EPOCH
    return member


@contextmanager
def _archive(outer: zipfile.ZipFile, name: str) -> Iterator[tarfile.TarFile]:
    """A compressed tar inside the package, written as it is filled."""
    with (
        outer.open(zipfile.ZipInfo(name), "w") as raw,
        zstd.ZstdFile(raw, "w", options=_COMPRESSION) as compressed,
        tarfile.open(fileobj=compressed, mode="w|", format=tarfile.PAX_FORMAT, bufsize=1 << 20) as tar,
    ):
        yield tar


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name), content)


def settle_times(tree: Path) -> None:
    """Give everything in a folder the time that it has in a package: byte code made then fits there."""
    for path in tree.rglob("*"):
        os.utime(path, (EPOCH, EPOCH), follow_symlinks=False)


def file_hash(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
