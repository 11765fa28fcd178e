"""Locks for tests, written as pixi writes them."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from pipeline.config.image_toml import ImageSpec
from pipeline.locks.image_lock import Locked, LockFiles, check_lock

CHANNEL: Final = "https://conda.anaconda.org/conda-forge"
FILES: Final = "https://files.pythonhosted.org/packages"


def conda(stem: str, subdir: str = "linux-64", **values: object) -> tuple[str, str]:
    """The two lines or more that format 6 has for a conda package: where it is used, and what it is.

    Args:
        stem: name, version and build string.
        subdir: folder of the channel.
        values: what the lock says of it; a size, a hash and a licence where nothing is given.
    """
    url = f"{CHANNEL}/{subdir}/{stem}.conda"
    sha256 = hashlib.sha256(stem.encode()).hexdigest()
    # In quotes: digits with an "e" between would be a number.
    fields = {"sha256": f"'{sha256}'", "depends": "[]", "license": "MIT", "size": 1000, **values}
    return f"- conda: {url}", _entry(f"- conda: {url}", fields)


def pypi(name: str, version: str, **values: object) -> tuple[str, str]:
    """The same for a PyPI package."""
    url = f"{FILES}/{name}-{version}-py3-none-any.whl"
    fields = {"name": name, "version": f"'{version}'", **values}
    return f"- pypi: {url}", _entry(f"- pypi: {url}", fields)


def write(
    packages: Sequence[tuple[str, str]] | Mapping[str, Mapping[str, Sequence[tuple[str, str]]]],
    *,
    version: int = 6,
    platforms: str = "",
) -> str:
    """A lock of format 6 or 7.

    Args:
        packages: those of the environment ``default`` on linux-64, or of each environment and platform.
        version: the format.
        platforms: what format 7 says of platforms, in YAML.
    """
    places = packages if isinstance(packages, Mapping) else {"default": {"linux-64": packages}}
    lines = [f"version: {version}", *([platforms.rstrip()] if platforms else []), "environments:"]
    entries: dict[str, str] = {}
    for environment, by_platform in places.items():
        lines += [f"  {environment}:", "    channels:", f"    - url: {CHANNEL}/", "    packages:"]
        for platform, found in by_platform.items():
            lines.append(f"      {platform}:")
            lines += [f"      {used}" for used, _ in found]
            entries |= dict(found)
    return "\n".join([*lines, "packages:", *entries.values(), ""])


def locked(folder: Path, environment: str = "default", cuda: str | None = None) -> Locked:
    """The only candidate of a good image's lock on linux-64."""
    (candidate,) = check_lock(
        LockFiles(folder), ImageSpec(description="x", environment=environment, cuda=cuda)
    ).candidates
    return candidate


def _entry(first: str, values: Mapping[str, object]) -> str:
    return "\n".join([first, *(f"  {key}: {value}" for key, value in values.items() if value is not None)])
