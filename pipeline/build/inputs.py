"""All that one image is made from, for those who make it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import dagger

from pipeline.config.image_toml import FILE, ImageSpec, Platform
from pipeline.config.project_toml import Settings
from pipeline.credentials.logins import Logins
from pipeline.git.commit import Commit


@dataclass(frozen=True)
class BuildInputs:
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

    bases: Mapping[str, str] = field(default_factory=dict)
    """The digests of its base images, as far as they are locked."""

    logins: Logins = field(default_factory=Logins)
    """Who logs in to registries and channels for it."""

    @property
    def file(self) -> str:
        """What messages call its image.toml."""
        return f"{self.image}/{FILE}"

    def pinned(self, address: str) -> str:
        """A base image by its digest, where that is locked."""
        return f"{address}@{self.bases[address]}" if address in self.bases else address
