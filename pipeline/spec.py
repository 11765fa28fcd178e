"""What an image is: a top-level folder with an image.toml, and what that file may say."""

import re
from pathlib import Path, PurePosixPath
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_settings import SettingsConfigDict

from pipeline.errors import ImageNotFoundError, SpecError
from pipeline.validation import FileSettings, nearest, read_toml, validate

FILE: Final = "image.toml"

#: Probes that the pipeline brings, each a script in ``pipeline/probes``.
ProbeName = Literal["python", "root", "tensorflow"]


class ImageFile(BaseModel):
    """One file that is copied from the image's folder into the image."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    """Path in the image's folder."""

    path: str
    """Absolute path in the image."""

    mode: str = "0644"
    """Permissions, in octal digits."""

    @field_validator("source")
    @classmethod
    def _stays_inside(cls, value: str) -> str:
        path = PurePosixPath(value)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ValueError(f"'{value}' leaves the image's folder; name a file inside it")
        return value

    @field_validator("path")
    @classmethod
    def _is_absolute(cls, value: str) -> str:
        if not value.startswith("/") or ".." in PurePosixPath(value).parts:
            raise ValueError(f"'{value}' is not an absolute path; start it with '/'")
        return value

    @field_validator("mode")
    @classmethod
    def _is_octal(cls, value: str) -> str:
        if not re.fullmatch(r"0?[0-7]{3}", value):
            raise ValueError(f"'{value}' is not a file mode; write three octal digits such as '0644'")
        return value

    @property
    def permissions(self) -> int:
        """The mode as a number."""
        return int(self.mode, 8)


class ImageSpec(FileSettings):
    """Everything that makes one image; each field is a key of image.toml."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    description: Annotated[str, Field(min_length=1)]
    """What the image is for, in one line."""

    environment: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")] = "default"
    """The environment of pixi.toml that is installed."""

    base: str | None = None
    """Base image of both stages; where there is none, the one of ``[tool.pipeline]``."""

    cuda: Annotated[str, Field(pattern=r"^\d+\.\d+$")] | None = None
    """CUDA version that pixi is told while it installs, such as "12.8"; where there is none, the image has no CUDA."""

    env: dict[str, str] = Field(default_factory=dict)
    """Environment variables of the image, beside those that activate the environment."""

    files: tuple[ImageFile, ...] = ()
    """Files that are copied from the image's folder."""

    probes: tuple[ProbeName, ...] = ("python",)
    """What a smoke test starts."""

    probe_timeout: Annotated[int, Field(gt=0, le=3600)] | None = None
    """Seconds that one probe may take; where there is none, the ones of ``[tool.pipeline]``."""

    @field_validator("env")
    @classmethod
    def _are_names(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
                raise ValueError(f"'{name}' is not the name of an environment variable")
        return value


def find_images(checkout: Path) -> list[str]:
    """The names of all images of a checkout, sorted: its top-level folders with an image.toml."""
    return sorted(path.parent.name for path in checkout.glob(f"*/{FILE}") if not path.parent.name.startswith("."))


def load_spec(checkout: Path, image: str) -> ImageSpec:
    """Read one image's image.toml.

    Raises:
        ImageNotFoundError: the checkout has no such image.
        SpecError: its image.toml is not TOML, says something unknown, or names a file that is not there.
    """
    images = find_images(checkout)
    if image not in images:
        raise ImageNotFoundError(f"there is no image '{image}' (no {image}/{FILE}); {nearest(image, images)}")
    name = f"{image}/{FILE}"
    spec = validate(ImageSpec, read_toml(checkout / name, name), name)
    for file in spec.files:
        if not (checkout / image / file.source).is_file():
            raise SpecError(
                f"{name}: key 'files': there is no file {image}/{file.source}; add it or correct the source"
            )
    return spec
