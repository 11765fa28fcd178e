"""What an image is: a top-level folder with an image.toml, and what that file may say."""

import re
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import ByteSize, Field, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from pipeline.config.files import ImageFile, inner_path, refuse_links, require_file
from pipeline.config.probes import Probes
from pipeline.config.validation import FileSettings, nearest, read_toml, validate
from pipeline.errors import Code, SpecError

FILE: Final = "image.toml"
#: Files that an image is made from without image.toml naming them.
_UNNAMED: Final = (FILE, "pixi.toml", "pyproject.toml", "pixi.lock", "base.lock")

#: Platforms that images are built for, as OCI writes them.
Platform = Literal["linux/amd64", "linux/arm64", "linux/ppc64le"]
Compression = Literal["gzip", "zstd"]

#: Keys that say how a pixi environment becomes an image: a Dockerfile says that itself.
_PIXI_KEYS: Final = ("environment", "base", "runtime_base", "cuda", "post_link_scripts")
#: Keys that mean something to a Dockerfile only.
_DOCKERFILE_KEYS: Final = ("build_args",)


class ImageSpec(FileSettings):
    """Everything that makes one image; each field is a key of image.toml."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    description: Annotated[str, Field(min_length=1)]
    """What the image is for, in one line."""

    environment: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")] = "default"
    """The environment of pixi.toml that is installed."""

    base: Annotated[str, Field(min_length=1)] | None = None
    """Image that has pixi and installs the environment; where there is none, the one of ``[tool.pipeline]``."""

    runtime_base: Annotated[str, Field(min_length=1)] | None = None
    """Image that the installed environment is put on; where there is none, it is ``base``, and so has pixi."""

    cuda: Annotated[str, Field(pattern=r"^\d+(\.\d+)?$")] | None = None
    """CUDA version that pixi is told while it installs, such as "12.8" or "12"; where there is none, the image has no
    CUDA."""

    post_link_scripts: Annotated[bool, Field(strict=True)] = False
    """Whether the post-link scripts of its conda packages run; pixi runs none by itself."""

    platforms: Annotated[tuple[Platform, ...], Field(min_length=1)] = ("linux/amd64",)
    """What the image is built for; `build` gives the first one unless it is asked for another."""

    dockerfile: str | None = None
    """Path of a Dockerfile in the image's folder, which the image is built from instead of pixi.toml and pixi.lock."""

    build_args: dict[str, str] = Field(default_factory=dict)
    """Build arguments of the Dockerfile."""

    env: dict[str, str] = Field(default_factory=dict)
    """Environment variables of the image, beside those that activate the environment."""

    files: tuple[ImageFile, ...] = ()
    """Files that are added to the image."""

    repositories: tuple[str, ...] = ()
    """Where the image is published; where there is nothing, in each registry of ``[tool.pipeline]`` by its name."""

    compression: Compression = "gzip"
    """How its layers are compressed: every client reads gzip; zstd is smaller, and older clients do not read it."""

    size_budget: ByteSize | None = None
    """How much room its files may take, uncompressed, such as "9 GB"; where there is none, it is not limited."""

    probes: Probes = Field(default_factory=Probes)
    """What a smoke test starts, and what must come of it."""

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
        given = [f"'{key}'" for key in foreign if key in self.model_fields_set]
        if given and self.dockerfile:
            raise ValueError(
                f"{_keys(given)} of an image that pixi installs, but 'dockerfile' is there; leave one of the two out"
            )
        if given:
            raise ValueError(f"{_keys(given)} of a Dockerfile, but 'dockerfile' is not there; add it or leave that out")
        return self


def _keys(names: list[str]) -> str:
    return f"key {names[0]} is" if len(names) == 1 else f"keys {', '.join(names)} are"


def find_images(checkout: Path) -> list[str]:
    """The names of all images of a checkout, sorted: its top-level folders with an image.toml."""
    return sorted(path.parent.name for path in checkout.glob(f"*/{FILE}") if not path.parent.name.startswith("."))


def load_spec(checkout: Path, image: str) -> ImageSpec:
    """Read one image's image.toml.

    Raises:
        SpecError: the checkout has no such image.
        SpecError: its image.toml is not TOML, says what cannot be, or names a file that is not in the folder.
    """
    images = find_images(checkout)
    if image not in images:
        raise SpecError(
            Code.IMAGE_UNKNOWN, f"there is no image '{image}' (no {image}/{FILE}); {nearest(image, images)}"
        )
    name = f"{image}/{FILE}"
    folder = checkout / image
    for file_name in _UNNAMED:
        refuse_links(folder, file_name)
    spec = validate(ImageSpec, read_toml(folder / FILE, name), name)
    if spec.dockerfile is not None:
        require_file(folder, spec.dockerfile, name, ("dockerfile",))
    for number, file in enumerate(spec.files):
        if file.source is not None:
            require_file(folder, file.source, name, ("files", number, "source"))
    return spec
