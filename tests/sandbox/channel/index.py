"""Makes a folder of conda packages a channel."""

import asyncio
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from rattler.index import index_fs

from tests.sandbox.errors import SandboxError

_SUBDIRS: Final = ("linux-64", "noarch")


def refresh(channel: Path) -> None:
    """Write `repodata.json` and `repodata.json.zst` into `linux-64/` and `noarch/` of a channel.

    Packages that are listed there already are not read again, which takes a second a 60 MB. So a package that is
    changed under its old name keeps its old hash, and does not fit it any more.

    Raises:
        SandboxError: a package there cannot be read.
    """
    for subdir in _SUBDIRS:
        (channel / subdir).mkdir(parents=True, exist_ok=True)
    try:
        asyncio.run(index_fs(channel, write_zst=True, write_shards=False))
    except Exception as error:  # py-rattler's errors have no class in common
        raise SandboxError(f"{channel}: a package in it cannot be indexed: {error}. Write it anew.") from error


def merge(parts: Iterable[Path], channel: Path) -> None:
    """Write a channel's `repodata.json` from those of channels whose packages it has, without reading packages."""
    found = list(parts)
    for subdir in _SUBDIRS:
        packages: dict[str, object] = {}
        for part in found:
            packages |= json.loads((part / subdir / "repodata.json").read_text())["packages.conda"]
        merged = {"info": {"subdir": subdir}, "packages": {}, "packages.conda": packages, "repodata_version": 1}
        (channel / subdir).mkdir(parents=True, exist_ok=True)
        (channel / subdir / "repodata.json").write_text(json.dumps(merged))


def clone(channel: Path, folder: Path) -> Path:
    """Copy a channel into a new folder and return that.

    The packages are hard links: replace them (`package.write` does, or unlink them first), never write into them.
    """
    for path in sorted(channel.glob("*/*")):
        target = folder / path.relative_to(channel)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".conda":
            os.link(path, target)
        else:
            shutil.copyfile(path, target)
    return folder
