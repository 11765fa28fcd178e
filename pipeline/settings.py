"""Settings of the pipeline as a whole, from ``[tool.pipeline]`` of the checkout's pyproject.toml."""

from pathlib import Path
from typing import Annotated, Final

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from pipeline.validation import FileSettings, read_toml, validate

FILE: Final = "pyproject.toml"
#: A registry as repositories begin with it: a host, and a path in lower case.
REGISTRY: Final = r"^[a-z0-9.-]+(:\d+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+$"


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

    solve_timeout: Annotated[int, Field(gt=0, le=86400)] = 60
    """Seconds that pixi may take to solve a manifest at its first try; it gets twice as many at each further one."""

    probe_timeout: Annotated[int, Field(gt=0, le=3600)] = 300
    """Seconds that one probe may take."""

    registries: tuple[Annotated[str, Field(pattern=REGISTRY)], ...] = (
        "ghcr.io/maniaclab",
        "docker.io/maniaclab",
        "hub.opensciencegrid.org/maniaclab",
    )
    """Where images are published: registries, each with the path below which its repositories are."""

    regctl: str = "ghcr.io/regclient/regctl:v0.11.7"
    """Image with the registry client /regctl."""

    cosign: str = "ghcr.io/sigstore/cosign/cosign:v3.1.3"
    """Image with /ko-app/cosign, which signs images and looks at signatures."""

    registry_timeout: Annotated[float, Field(gt=0, le=3600)] = 120
    """Seconds in which a registry has to answer, or to take the next megabyte of an upload."""

    registry_tries: Annotated[int, Field(gt=0, le=100)] = 10
    """Requests of one operation that may fail in a way that may pass, before it is given up."""

    registry_seconds: Annotated[float, Field(gt=0, le=86400)] = 300
    """Seconds after the first failure of an operation in which it is tried again."""

    osv: Annotated[str, Field(pattern=r"^https?://")] = "https://api.osv.dev/v1/query"
    """Where known vulnerabilities are asked for: the query address of OSV, or of a service of that kind."""


def load_settings(checkout: Path) -> Settings:
    """Read the settings of a checkout; a missing pyproject.toml or table means the defaults.

    Raises:
        SpecError: pyproject.toml is not TOML, or its table has an unknown key or a wrong value.
    """
    path = checkout / FILE
    values = read_toml(path, FILE) if path.is_file() else {}
    return validate(
        Settings, values.get("tool", {}).get("pipeline", {}), f"{FILE} [tool.pipeline]", ("tool", "pipeline")
    )
