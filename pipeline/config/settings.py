"""Settings of the whole pipeline, from a checkout's images.toml or ``[tool.pipeline]`` of its pyproject.toml."""

import os
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

from pydantic import Field, PrivateAttr
from pydantic_settings import SettingsConfigDict

from pipeline.config.validation import FileSettings, read_toml, validate
from pipeline.errors import Code, SpecError


class SettingsFile(NamedTuple):
    """File in which a checkout has its settings."""

    name: str

    table: tuple[str, ...]
    """Path of their table in the file; empty if it holds nothing else."""

    def __str__(self) -> str:
        return f"{self.name} [{'.'.join(self.table)}]" if self.table else self.name


PROJECT: Final = SettingsFile("pyproject.toml", ("tool", "pipeline"))
#: For a checkout without a pyproject.toml. It is no part of the module: a change of it does not load the module again.
OWN_FILE: Final = SettingsFile("images.toml", ())
#: Both files, for messages of code that has a key and not the file.
SETTINGS: Final = f"[{'.'.join(PROJECT.table)}] or {OWN_FILE}"
#: Pattern of a registry, the beginning of a repository: a host and a path in lower case.
REGISTRY: Final = r"^[a-z0-9.-]+(:\d+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+$"

#: The lowest default of ``parallelism``, on a machine with few cores: much of the work is waiting for a network.
LEAST_PARALLELISM: Final = 4
#: Settings that name a tool image: an image whose programs the pipeline runs, and of which nothing becomes part of an
#: image.
TOOLS: Final = ("fetch_base", "regctl", "cosign", "apptainer")
#: Settings that hold the path of a file in the checkout.
FILES: Final = ("signing_config", "trusted_root")


def default_parallelism() -> int:
    """Return the limit without a setting: the number of the machine's cores, but at least ``LEAST_PARALLELISM``."""
    return max(LEAST_PARALLELISM, os.cpu_count() or 1)


class Settings(FileSettings):
    """Settings of all images; an image.toml can override some of them."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    _file: SettingsFile = PrivateAttr(default=PROJECT)

    base: str = "ghcr.io/prefix-dev/pixi:noble-cuda-13.0.0"
    """Base image of both stages."""

    fetch_base: str = "docker.io/library/python:3.12-slim"
    """Image with Python and pip, in which packages are downloaded and layers archived and compressed; nothing of it
    becomes part of an image."""

    source: str = ""
    """URL of the source repository, for the labels and the provenance of images."""

    licenses: str = ""
    """SPDX expression of the licences of the repository's own files, for the labels of images."""

    install_timeout: Annotated[int, Field(gt=0, le=86400)] = 3600
    """Time limit in seconds for pixi to install downloaded packages; pixi has been seen to hang for ever."""

    solve_timeout: Annotated[int, Field(gt=0, le=86400)] = 60
    """Time limit in seconds of pixi's first attempt to solve a manifest; each further attempt gets twice as long."""

    probe_timeout: Annotated[int, Field(gt=0, le=3600)] = 300
    """Time limit of each probe, in seconds."""

    parallelism: Annotated[int, Field(gt=0, le=1000)] = Field(default_factory=default_parallelism)
    """Number of builds, probes and registry queries that run at once in a call."""

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

    apptainer: str = "ghcr.io/apptainer/apptainer:1.4.5"
    """Image with Apptainer, mksquashfs and unsquashfs, which make and compare SIF files."""

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

    @property
    def file(self) -> SettingsFile:
        """File that they were read from; without one, the file to write them to."""
        return self._file

    def path(self, key: str) -> tuple[str, ...]:
        """Return the path of a key in that file."""
        return (*self._file.table, key)


def load_settings(checkout: Path) -> Settings:
    """Read the settings of a checkout; no file with settings means the defaults.

    Raises:
        SpecError: two files have settings, a file is not TOML, it has an unknown key or an invalid value, or a file
            that it names is missing.
    """
    found = {file: values for file in (OWN_FILE, PROJECT) if (values := _values(checkout, file)) is not None}
    if len(found) > 1:
        raise SpecError(
            Code.KEY_INVALID,
            f"{OWN_FILE} and {PROJECT} both have settings; leave them in one of the two",
            {PROJECT.name: (PROJECT.table,)},
        )
    file, values = next(iter(found.items()), (PROJECT, {}))
    settings = validate(Settings, values, str(file), file.table)
    settings._file = file  # noqa: SLF001  # pydantic takes no private attribute as an argument
    for key in FILES:
        if value := getattr(settings, key):
            _require_file(checkout, file, key, value)
    return settings


def _values(checkout: Path, file: SettingsFile) -> dict[str, Any] | None:
    """Read the settings of one file; None if it has none."""
    path = checkout / file.name
    if not path.is_file():
        return None
    values: dict[str, Any] | None = read_toml(path, file.name)
    for key in file.table:
        values = (values or {}).get(key)
    return values


def _require_file(checkout: Path, file: SettingsFile, key: str, value: str) -> None:
    """Check that a file which a key names is in the checkout."""
    subject, at = f"{file}: key '{key}'", {file.name: ((*file.table, key),)}
    if not (checkout / value).resolve().is_relative_to(checkout.resolve()):
        raise SpecError(
            Code.FILE_MISSING, f"{subject}: '{value}' leaves the checkout; put the file itself there, and name it", at
        )
    if not (checkout / value).is_file():
        raise SpecError(
            Code.FILE_MISSING,
            f"{subject}: there is no file '{value}' in what the engine gets of the checkout, which is all but docs, "
            "out, tests, private keys and hidden folders; add it or correct the key",
            at,
        )
