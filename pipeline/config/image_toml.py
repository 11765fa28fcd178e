"""Images and their image.toml: every top-level folder with an image.toml is an image; the file describes it."""

import re
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import ByteSize, Field, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from pipeline.config.files import ImageFile, inner_path, reject_links, require_file
from pipeline.config.probes import Probes
from pipeline.config.validation import FileSettings, nearest, read_toml, validate
from pipeline.errors import Code, SpecError

FILE: Final = "image.toml"
#: Files that a build reads although image.toml does not name them.
_UNNAMED: Final = (FILE, "pixi.toml", "pyproject.toml", "pixi.lock", "base.lock")

#: Platforms that an image can be built for, in the notation of OCI.
Platform = Literal["linux/amd64", "linux/arm64", "linux/ppc64le"]
Compression = Literal["gzip", "zstd"]

#: Keys for images from a pixi environment; a Dockerfile has instructions of its own for these.
_PIXI_KEYS: Final = ("environment", "base", "runtime_base", "cuda", "post_link_scripts")
#: Variables that the activation of an environment sets in any case.
ACTIVATES: Final = ("PATH", "CONDA_PREFIX")
#: Keys for images from a Dockerfile only.
_DOCKERFILE_KEYS: Final = ("build_args",)


class ImageSpec(FileSettings):
    """Specification of an image; each field is a key of image.toml."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    description: Annotated[str, Field(min_length=1)]
    """Purpose of the image, in one line."""

    environment: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")] = "default"
    """Environment of pixi.toml to install."""

    base: Annotated[str, Field(min_length=1)] | None = None
    """Base image with pixi, in which the environment is installed; defaults to ``base`` of ``[tool.pipeline]``."""

    runtime_base: Annotated[str, Field(min_length=1)] | None = None
    """Base image of the final image, to which the environment is copied; defaults to ``base``, which contains pixi."""

    cuda: Annotated[str, Field(pattern=r"^\d+(\.\d+)?$")] | None = None
    """CUDA version that pixi assumes while it installs, such as "12.8" or "12"; without the key, the image has no
    CUDA."""

    post_link_scripts: Annotated[bool, Field(strict=True)] = False
    """Run the post-link scripts of its conda packages, which pixi does not run."""

    platforms: Annotated[tuple[Platform, ...], Field(min_length=1)] = ("linux/amd64",)
    """Platforms of the image; `build` uses the first one by default."""

    dockerfile: str | None = None
    """Path of a Dockerfile in the image's folder, from which it is built instead of from pixi.toml and pixi.lock."""

    build_args: dict[str, str] = Field(default_factory=dict)
    """Build arguments of the Dockerfile."""

    env: dict[str, str] = Field(default_factory=dict)
    """Environment variables of the image, in addition to those that activate the environment."""

    files: tuple[ImageFile, ...] = ()
    """Files to add to the image."""

    repositories: tuple[str, ...] = ()
    """Repositories to publish to; defaults to one with the image's name in each registry of ``[tool.pipeline]``."""

    compression: Compression = "gzip"
    """Compression of its layers: every client reads gzip; zstd is smaller, but older clients cannot read it, and the
    unpacker for CVMFS reads gzip only."""

    no_cvmfs: Annotated[str, Field(min_length=1)] | None = None
    """Reason why the image does not go to CVMFS, such as "too large": the check `cvmfs-ready` leaves it out."""

    sif: Annotated[bool, Field(strict=True)] = False
    """Publish a SIF file for Apptainer beside it, under its tags with the ending ``-sif``."""

    size_budget: ByteSize | None = None
    """Largest allowed size of its files, uncompressed, such as "9 GB"; unlimited by default."""

    probes: Probes = Field(default_factory=Probes)
    """Probes of the smoke test, with their expected results."""

    @field_validator("dockerfile")
    @classmethod
    def _stays_inside(cls, value: str | None) -> str | None:
        return value if value is None else inner_path(value)

    @field_validator("env", "build_args")
    @classmethod
    def _are_names(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
                raise ValueError(f"'{name}' is not the name of a variable")
        return value

    @field_validator("env")
    @classmethod
    def _leave_the_environment_active(cls, value: dict[str, str]) -> dict[str, str]:
        for name in ACTIVATES:
            if name in value:
                raise ValueError(
                    f"'{name}' would have no effect, because the activation of the environment or the Dockerfile sets "
                    "it; leave it out, or in a Dockerfile write ENV PATH"
                )
        return value

    @field_validator("platforms", "repositories")
    @classmethod
    def _stand_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for item in value:
            if value.count(item) > 1:
                raise ValueError(f"'{item}' stands there twice; leave one of them out")
        return value

    @field_validator("repositories")
    @classmethod
    def _are_repositories(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)*(:\d+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+", name):
                raise ValueError(
                    f"'{name}' is not a repository; write registry and path in lower case, without a tag, "
                    "such as 'ghcr.io/maniaclab/ml-platform'"
                )
        return value

    @field_validator("files")
    @classmethod
    def _have_places_of_their_own(cls, value: tuple[ImageFile, ...]) -> tuple[ImageFile, ...]:
        paths = [file.path for file in value]
        for path in paths:
            if paths.count(path) > 1:
                raise ValueError(f"two files have the path '{path}'; leave one of them out")
        return value

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> Self:
        foreign = _PIXI_KEYS if self.dockerfile else _DOCKERFILE_KEYS
        keys = [f"'{key}'" for key in foreign if key in self.model_fields_set]
        if keys and self.dockerfile:
            raise ValueError(
                f"{_keys(keys)} of an image that pixi installs, but 'dockerfile' is there; leave one of the two out"
            )
        if keys:
            raise ValueError(f"{_keys(keys)} of a Dockerfile, but 'dockerfile' is not there; add it or leave that out")
        return self


def _keys(names: list[str]) -> str:
    return f"key {names[0]} is" if len(names) == 1 else f"keys {', '.join(names)} are"


def find_images(checkout: Path) -> list[str]:
    """Return the names of all images of a checkout, sorted: its top-level folders with an image.toml."""
    return sorted(path.parent.name for path in checkout.glob(f"*/{FILE}") if not path.parent.name.startswith("."))


def load_spec(checkout: Path, image: str) -> ImageSpec:
    """Read and validate the image.toml of an image.

    Raises:
        SpecError: the checkout has no such image, or its image.toml is not TOML, has an invalid key or value, or names
            a file that is not in the folder.
    """
    images = find_images(checkout)
    if image not in images:
        raise SpecError(
            Code.IMAGE_UNKNOWN, f"there is no image '{image}' (no {image}/{FILE}); {nearest(image, images)}"
        )
    name = f"{image}/{FILE}"
    folder = checkout / image
    for file_name in _UNNAMED:
        reject_links(folder, file_name)
    spec = validate(ImageSpec, read_toml(folder / FILE, name), name)
    if spec.dockerfile is not None:
        require_file(folder, spec.dockerfile, name, ("dockerfile",))
    for number, file in enumerate(spec.files):
        if file.source is not None:
            require_file(folder, file.source, name, ("files", number, "source"))
    return spec
