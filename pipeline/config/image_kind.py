"""Kinds of images by the origin of their software.

Imports dagger because the enumeration is an option of the CLI; it calls no engine.
"""

import enum

import dagger


@dagger.enum_type
class ImageKind(enum.Enum):
    """Source of an image's software"""

    PIXI = "pixi"
    """A pixi environment: pixi.toml lists requirements, pixi.lock pins packages"""

    DOCKERFILE = "dockerfile"
    """A Dockerfile in the image's folder"""
