"""What a build makes: a container that runs, and what its image is pushed from."""

from dataclasses import dataclass

import dagger


@dataclass(frozen=True)
class Environment:
    """An installed environment, and which of its files are a layer of an image together."""

    root: dagger.Directory
    """The root file system that it was installed in."""

    prefix: str
    """Where it is there, as in the image."""

    layers: dagger.File
    """What the script ``divide`` found."""


@dataclass(frozen=True)
class Image:
    """An image for one platform.

    In the engine an environment is one layer, as the command that installed it left it: the engine would have to link
    each file twice to make it many. It gets its own layers where the image is made that is pushed.
    """

    name: str
    """What messages call it."""

    container: dagger.Container
    """It, whole: what is run and looked into."""

    bare: dagger.Container
    """It without its environment, whose layers come below the topmost one of these."""

    environment: Environment | None = None
    """None where the container has all layers itself."""

    @classmethod
    def of(cls, name: str, container: dagger.Container) -> "Image":
        """An image that is the layers of its container."""
        return cls(name, container, container)
