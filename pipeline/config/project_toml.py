"""Settings of the whole pipeline, from ``[tool.pipeline]`` of the checkout's pyproject.toml."""

from pathlib import Path
from typing import Annotated, Final

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from pipeline.config.validation import FileSettings, read_toml, validate
from pipeline.errors import Code, SpecError

FILE: Final = "pyproject.toml"
#: Pattern of a registry, the beginning of a repository: a host and a path in lower case.
REGISTRY: Final = r"^[a-z0-9.-]+(:\d+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+$"

#: Settings that hold the path of a file in the checkout.
FILES: Final = ("signing_config", "trusted_root")
TABLE: Final = ("tool", "pipeline")


class Settings(FileSettings):
    """Settings of all images; an image.toml can override some of them."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    base: str = "ghcr.io/prefix-dev/pixi:noble-cuda-13.0.0"
    """Base image of both stages."""

    fetch_base: str = "docker.io/library/python:3.12-slim"
    """Image with Python and pip, in which packages are downloaded; nothing of it becomes part of an image."""

    source: str = ""
    """URL of the source repository, for the labels of images."""

    licenses: str = ""
    """SPDX expression of the licences of the repository's own files, for the labels of images."""

    install_timeout: Annotated[int, Field(gt=0, le=86400)] = 3600
    """Time limit in seconds for pixi to install downloaded packages; pixi has been seen to hang for ever."""

    solve_timeout: Annotated[int, Field(gt=0, le=86400)] = 60
    """Time limit in seconds of pixi's first attempt to solve a manifest; each further attempt gets twice as long."""

    probe_timeout: Annotated[int, Field(gt=0, le=3600)] = 300
    """Time limit of each probe, in seconds."""

    registries: tuple[Annotated[str, Field(pattern=REGISTRY)], ...] = (
        "ghcr.io/maniaclab",
        "docker.io/maniaclab",
        "hub.opensciencegrid.org/maniaclab",
    )
    """Registries to publish to, each with the path that its repositories have in common."""

    regctl: str = "ghcr.io/regclient/regctl:v0.11.7"
    """Image with the registry client ``/regctl``."""

    cosign: str = "ghcr.io/sigstore/cosign/cosign:v3.1.3"
    """Image with ``/ko-app/cosign``, which signs images and verifies signatures."""

    signing_config: str = ""
    """Path of cosign's signing config in the checkout, which lists the services for signing without a key; defaults to
    Sigstore's public services."""

    trusted_root: str = ""
    """Path of cosign's trusted root in the checkout, with the keys and certificates of these services; defaults to
    those of the public services."""

    registry_timeout: Annotated[float, Field(gt=0, le=3600)] = 120
    """Time limit in seconds for an answer of a registry, and for each megabyte of an upload."""

    registry_tries: Annotated[int, Field(gt=0, le=100)] = 10
    """Number of transient failures after which an operation is given up."""

    registry_seconds: Annotated[float, Field(gt=0, le=86400)] = 300
    """Seconds after its first failure during which an operation is retried."""

    osv: Annotated[str, Field(pattern=r"^https?://")] = "https://api.osv.dev/v1/query"
    """Query URL of OSV, or of a compatible service, for known vulnerabilities."""


def load_settings(checkout: Path) -> Settings:
    """Read the settings of a checkout; a missing pyproject.toml or table means the defaults.

    Raises:
        SpecError: pyproject.toml is not TOML, its table has an unknown key or an invalid value, or a file that it names
            is missing.
    """
    path = checkout / FILE
    values = read_toml(path, FILE) if path.is_file() else {}
    settings = validate(Settings, values.get("tool", {}).get("pipeline", {}), f"{FILE} [tool.pipeline]", TABLE)
    for key in FILES:
        if value := getattr(settings, key):
            _require_file(checkout, key, value)
    return settings


def _require_file(checkout: Path, key: str, value: str) -> None:
    """Check that a file which a key names is in the checkout."""
    subject, at = f"{FILE} [tool.pipeline]: key '{key}'", {FILE: ((*TABLE, key),)}
    if not (checkout / value).resolve().is_relative_to(checkout.resolve()):
        raise SpecError(
            Code.FILE_MISSING, f"{subject}: '{value}' leaves the checkout; put the file itself there, and name it", at
        )
    if not (checkout / value).is_file():
        raise SpecError(
            Code.FILE_MISSING,
            f"{subject}: there is no file '{value}' in what the engine gets of the checkout, which is all but docs, "
            "tests and hidden folders; add it or correct the key",
            at,
        )
