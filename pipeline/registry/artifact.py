"""Image in the form that is pushed."""

from dataclasses import dataclass
from typing import Final, Self

import dagger

from pipeline.scripts.messages import SIF

#: Path of an image's OCI layout in a container, and of its SIF's.
LAYOUT: Final = "/layout"
SIF_LAYOUT: Final = "/sif-layout"
#: Scripts that make layers and layouts, with those that they import.
LAYOUT_SCRIPTS: Final = ("messages.py", "layer_format.py", "compress.py", "pack.py", "repack.py", "layout.py")


@dataclass(frozen=True)
class Artifact:
    """An image that can be pushed."""

    layout: dagger.Directory
    """Folder with its blobs, manifest and index, as an OCI image layout."""

    digest: str
    """The digest of the manifest for one platform, of the index for several."""

    manifests: tuple[str, ...]
    """The digest of each platform's manifest, in the order of its platforms."""

    files: tuple[str, ...] = ()
    """For a SIF: the digest of each platform's file, in that order."""

    sif: Self | None = None
    """The SIF that is published beside the image; None if it has none."""

    @property
    def sif_digest(self) -> str:
        """The digest of its SIF; empty if it has none."""
        return self.sif.digest if self.sif else ""

    def digest_at(self, tag: str) -> str:
        """Return the digest that a tag of the image has to have: its own, or that of its SIF."""
        return self.sif_digest if tag.endswith(SIF) else self.digest
