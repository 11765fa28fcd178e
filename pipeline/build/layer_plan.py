"""Division of an environment's files into layers, so that an update changes few of them.

A package's layer follows from its name and its size alone, not from the other packages. Each large package has its own
layer: they make up most of the bytes, so an update of one must not pull the others again. The others share layers by a
hash of their names. Medium packages do not share layers with small ones: of the hundreds of small packages some change
in every update, and their layers with them.

The module imports the standard library only, since it also runs in a container.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

#: Compressed bytes from which a package has its own layer: in ml_platform, 60 of 504 packages and 96 % of all bytes.
LARGE: Final = 4_000_000
#: Compressed bytes from which a package is medium, and shares a layer with few others.
MEDIUM: Final = 1_500_000
#: Number of layers that the packages from MEDIUM to LARGE share, and of those that the smaller ones share.
MEDIUM_LAYERS: Final = 14
SMALL_LAYERS: Final = 2
#: The layer of files that belong to no package.
REST: Final = "4-rest"


class TooLargeError(ValueError):
    """The files do not fit into the permitted number of layers of the permitted size."""


@dataclass(frozen=True)
class Limits:
    """Limits for the layers of one environment."""

    layers: int = 85
    """Number of layers. Docker stacks 125, those of the base image and of the other files included."""

    size: int = 5_000_000_000
    """Bytes of one layer's files before compression; registries fail on layers of 10 GB."""


@dataclass(frozen=True)
class Package:
    """One package of an environment."""

    name: str
    size: int
    """Bytes of its archive."""

    files: tuple[str, ...]
    """Paths in the environment; missing ones are ignored."""


@dataclass(frozen=True)
class Layer:
    """One layer of an environment."""

    name: str
    """Name, by which layers are ordered."""

    files: tuple[str, ...]
    """Paths in the environment, sorted."""


def divide(packages: Iterable[Package], files: Mapping[str, int], limits: Limits | None = None) -> list[Layer]:
    """Return the layers of an environment in their order; each file is in exactly one.

    Args:
        packages: its packages. A file that several of them list belongs to the first of these by name.
        files: all its files with their bytes.
        limits: number and size of the layers.

    Raises:
        TooLargeError: the files do not fit into the limits.
    """
    limits = limits or Limits()
    ordered = sorted(packages, key=lambda package: package.name)
    places = assign({package.name: package.size for package in ordered}, limits.layers)
    owners: dict[str, str] = {}
    for package in ordered:
        for path in package.files:
            owners.setdefault(path, places[package.name])
    members: dict[str, list[str]] = {}
    for path in sorted(files):
        members.setdefault(owners.get(path, REST), []).append(path)
    layers = [part for name in sorted(members) for part in _parts(name, members[name], files, limits.size)]
    if len(layers) > limits.layers:
        raise TooLargeError(
            f"{sum(files.values()) / 1e9:.1f} GB of files make {len(layers)} layers of at most "
            f"{limits.size / 1e9:g} GB, and an image may have {limits.layers}"
        )
    return layers


def assign(sizes: Mapping[str, int], most: int) -> dict[str, str]:
    """Return the name of each package's layer.

    Where there are more large packages than layers for them, the threshold for large doubles until they fit. Only in
    this case can an added package move others: those that lose their own layer.

    Args:
        sizes: bytes of each package, by its name.
        most: number of layers, the one of the files of no package included.
    """
    room = most - MEDIUM_LAYERS - SMALL_LAYERS - 1
    large = LARGE
    while sum(size >= large for size in sizes.values()) > max(room, 0):
        large *= 2
    return {name: _place(name, size, large) for name, size in sizes.items()}


def _place(name: str, size: int, large: int) -> str:
    if size >= large:
        return f"1-{name}"
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])
    if size >= MEDIUM:
        return f"2-medium-{number % MEDIUM_LAYERS:02}"
    return f"3-small-{number % SMALL_LAYERS}"


def _parts(name: str, paths: list[str], files: Mapping[str, int], most: int) -> list[Layer]:
    """Return one layer, or several where it is too large; these are filled in the order of the paths."""
    parts: list[list[str]] = [[]]
    filled = 0
    for path in paths:
        if parts[-1] and filled + files[path] > most:
            parts.append([])
            filled = 0
        parts[-1].append(path)
        filled += files[path]
    names = [name] if len(parts) == 1 else [f"{name}.{number:03}" for number in range(len(parts))]
    return [Layer(part, tuple(members)) for part, members in zip(names, parts, strict=True)]
