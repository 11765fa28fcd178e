"""All that one image is made from, for those who make it."""

from dataclasses import dataclass

import dagger

from pipeline.commit import Commit
from pipeline.settings import Settings
from pipeline.spec import FILE, ImageSpec, Platform


@dataclass(frozen=True)
class Recipe:
    """One image for one platform."""

    image: str
    """Its name, which messages and labels call it by."""

    spec: ImageSpec

    settings: Settings

    folder: dagger.Directory
    """The image's folder, as the engine holds it."""

    platform: Platform = "linux/amd64"

    commit: Commit | None = None
    """The commit that the files are at, where that is known."""

    @property
    def file(self) -> str:
        """What messages call its image.toml."""
        return f"{self.image}/{FILE}"
