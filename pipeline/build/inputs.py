"""Build inputs of one image."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import dagger

from pipeline.config.image_toml import FILE, ImageSpec, Platform
from pipeline.config.settings import Settings
from pipeline.credentials.logins import Logins
from pipeline.git.commit import Commit


@dataclass(frozen=True)
class BuildInputs:
    """Build inputs of one image for one platform."""

    image: str
    """The image's name, which messages and labels have."""

    spec: ImageSpec

    settings: Settings

    folder: dagger.Directory
    """The image's folder in the engine."""

    platform: Platform = "linux/amd64"

    commit: Commit | None = None
    """Commit of the checkout, where it is known."""

    base_digests: Mapping[str, str] = field(default_factory=dict)
    """Digests of its base images, as far as they are locked."""

    logins: Logins = field(default_factory=Logins)
    """Credentials for registries and channels."""

    @property
    def file(self) -> str:
        """The name of its image.toml in messages."""
        return f"{self.image}/{FILE}"

    def pinned(self, address: str) -> str:
        """Return a base image's address, with its digest where that is locked."""
        return f"{address}@{self.base_digests[address]}" if address in self.base_digests else address
