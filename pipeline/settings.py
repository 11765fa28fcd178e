"""Settings of the pipeline as a whole, from ``[tool.pipeline]`` of the checkout's pyproject.toml."""

from pathlib import Path
from typing import Annotated, Final

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from pipeline.validation import FileSettings, read_toml, validate

FILE: Final = "pyproject.toml"


class Settings(FileSettings):
    """What all images have in common unless their image.toml says otherwise."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    base: str = "ghcr.io/prefix-dev/pixi:noble-cuda-13.0.0"
    """Base image of both stages."""

    fetch_base: str = "docker.io/library/python:3.12-slim"
    """Image with Python and pip, in which packages are fetched; nothing of it is part of an image."""

    source: str = ""
    """Address of the repository that the images are made from, for their labels."""

    licenses: str = ""
    """SPDX expression of the licences of what the repository itself adds, for the labels."""

    install_timeout: Annotated[int, Field(gt=0, le=86400)] = 3600
    """Seconds that pixi may take to install fetched packages; pixi has been seen to wait for nothing, for ever."""

    probe_timeout: Annotated[int, Field(gt=0, le=3600)] = 300
    """Seconds that one probe may take."""


def load_settings(checkout: Path) -> Settings:
    """Read the settings of a checkout; a missing pyproject.toml or table means the defaults.

    Raises:
        SpecError: pyproject.toml is not TOML, or its table has an unknown key or a wrong value.
    """
    path = checkout / FILE
    values = read_toml(path, FILE) if path.is_file() else {}
    return validate(Settings, values.get("tool", {}).get("pipeline", {}), f"{FILE} [tool.pipeline]")
