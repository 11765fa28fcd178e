"""Settings of the pipeline as a whole, from ``[tool.pipeline]`` of the checkout's pyproject.toml."""

from pathlib import Path
from typing import Annotated, Final

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from pipeline.config.validation import FileSettings, read_toml, validate
from pipeline.errors import Code, SpecError

FILE: Final = "pyproject.toml"
#: A registry as repositories begin with it: a host, and a path in lower case.
REGISTRY: Final = r"^[a-z0-9.-]+(:\d+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+$"

#: Settings that name a file of the checkout.
FILES: Final = ("signing_config", "trusted_root")
TABLE: Final = ("tool", "pipeline")


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

    signing_config: str = ""
    """File of the checkout that says where to sign without a key, a signing config of cosign; Sigstore's public
    services where none is named."""

    trusted_root: str = ""
    """File of the checkout with the keys and certificates of these services, a trusted root of cosign; those of the
    public ones where none is named."""

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
        SpecError: pyproject.toml is not TOML, its table has an unknown key or a wrong value, or a file that it names is
            not there.
    """
    path = checkout / FILE
    values = read_toml(path, FILE) if path.is_file() else {}
    settings = validate(Settings, values.get("tool", {}).get("pipeline", {}), f"{FILE} [tool.pipeline]", TABLE)
    for key in FILES:
        if value := getattr(settings, key):
            _require_file(checkout, key, value)
    return settings


def _require_file(checkout: Path, key: str, value: str) -> None:
    """Refuse a file that the checkout does not have, or has outside of itself."""
    what, at = f"{FILE} [tool.pipeline]: key '{key}'", {FILE: ((*TABLE, key),)}
    if not (checkout / value).resolve().is_relative_to(checkout.resolve()):
        raise SpecError(
            Code.FILE_MISSING, f"{what}: '{value}' leaves the checkout; put the file itself there, and name it", at
        )
    if not (checkout / value).is_file():
        raise SpecError(
            Code.FILE_MISSING,
            f"{what}: there is no file '{value}' in what the engine gets of the checkout, which is all but docs, tests "
            "and hidden folders; add it or correct the key",
            at,
        )
