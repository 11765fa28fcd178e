"""The kinds of images: what their software comes from.

dagger makes the enumeration an option of the CLI; no engine is asked.
"""

import enum

import dagger


@dagger.enum_type
class ImageKind(enum.Enum):
    """Source of an image's software"""

    PIXI = "pixi"
    """A pixi environment: pixi.toml asks for packages, pixi.lock pins them"""

    DOCKERFILE = "dockerfile"
    """A Dockerfile of its own"""
