"""Result of a build: a container to run, and the parts from which its image is pushed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import dagger


@dataclass(frozen=True)
class Environment:
    """An installed environment, and the division of its files into layers."""

    root: dagger.Directory
    """Root file system that it was installed in."""

    prefix: str
    """Path of the environment, there and in the image."""

    layers: dagger.File
    """Division into layers, the output of the script ``divide``."""


@dataclass(frozen=True)
class Image:
    """An image for one platform.

    In the engine an environment is one layer, the result of the command that installed it: to divide it there, the
    engine would have to link each file twice. It is divided when the image is made that is pushed.
    """

    name: str
    """Name in messages."""

    container: dagger.Container
    """The whole image, to run and to inspect."""

    without_environment: dagger.Container
    """The image without its environment, whose layers come below the topmost of these."""

    environment: Environment | None = None
    """None where the container has all layers itself."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    """Keys of its configuration that a container of the engine cannot have."""

    base: str = ""
    """Base image, whose layers are the lowest ones, with its digest where that is locked; empty where it is unknown."""

    @classmethod
    def of(cls, name: str, container: dagger.Container, settings: Mapping[str, Any] | None = None) -> "Image":
        """Return an image that consists of the layers of its container."""
        return cls(name, container, container, settings=settings or {})
