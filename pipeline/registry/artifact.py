"""Image in the form that is pushed."""

from dataclasses import dataclass
from typing import Final

import dagger

#: Path of an image's OCI layout in a container.
LAYOUT: Final = "/layout"


@dataclass(frozen=True)
class Artifact:
    """An image that can be pushed."""

    layout: dagger.Directory
    """Folder with its blobs, manifest and index, as an OCI image layout."""

    digest: str
    """The digest of the manifest for one platform, of the index for several."""

    manifests: tuple[str, ...]
    """The digest of each platform's manifest, in the order of its platforms."""
