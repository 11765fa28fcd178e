"""Put the SIF files of an image into an OCI layout, in the form that Apptainer pushes and pulls.

Usage: python -m pipeline.scripts.sif_layout LAYOUT TITLE IMAGE (MANIFEST SIF)… IMAGE is the OCI layout of the image;
for each platform, MANIFEST is the digest of its manifest there and SIF is the file. TITLE is the name of the file for
clients that save it under a name. Adds to the layout LAYOUT, and prints a `SifAssembly` in JSON.

Apptainer wants one layer of its own media type, and of several platforms the one in the index that it runs on.
"""

import hashlib
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from itertools import batched
from pathlib import Path
from typing import Any, Final

from pipeline.scripts.layout import BUFFER, MANIFEST, Layout
from pipeline.scripts.messages import SifAssembly

CONFIG_TYPE: Final = "application/vnd.sylabs.sif.config.v1+json"
FILE_TYPE: Final = "application/vnd.sylabs.sif.layer.v1.sif"

type Json = dict[str, Any]


class SifLayout(Layout):
    """OCI layout with the SIF of an image."""

    def add_file(self, file: Path) -> Json:
        """Copy a file in as a blob, and return the digest and size for its descriptor."""
        partial = self.blobs / "partial"
        digest, size = hashlib.sha256(), 0
        with file.open("rb") as source, partial.open("wb") as target:
            while data := source.read(BUFFER):
                digest.update(data)
                size += target.write(data)
        partial.rename(self.blobs / digest.hexdigest())
        return {"digest": f"sha256:{digest.hexdigest()}", "size": size}

    def add_sif(self, file: Path, title: str, image: Path, manifest: str) -> tuple[Json, str]:
        """Add a SIF, and return the descriptor of its manifest and the digest of the file.

        Args:
            file: the SIF.
            title: its name.
            image: the OCI layout of its image.
            manifest: the digest of its image's manifest, whose annotations say what it is and of which commit.
        """
        described = _read(image, manifest)
        built = _read(image, described["config"]["digest"])
        layer = self.add_file(file)
        made = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG_TYPE, **self.write({})},
            "layers": [{"mediaType": FILE_TYPE, **layer, "annotations": {"org.opencontainers.image.title": title}}],
            "annotations": described.get("annotations", {}),
        }
        platform = {key: built[key] for key in ("architecture", "os", "variant") if built.get(key)}
        return {"mediaType": MANIFEST, **self.write(made), "platform": platform}, str(layer["digest"])


def _read(layout: Path, digest: str) -> Json:
    content: Json = json.loads((layout / "blobs" / digest.replace(":", "/")).read_bytes())
    return content


def assemble(layout: SifLayout, title: str, image: Path, sifs: Iterable[tuple[str, ...]]) -> SifAssembly:
    """Add the SIF of each platform, given by the digest of its image's manifest and by its path."""
    made = [layout.add_sif(Path(file), title, image, manifest) for manifest, file in sifs]
    descriptors = [descriptor for descriptor, _ in made]
    digest = layout.write_index(descriptors)
    return SifAssembly(digest, [str(each["digest"]) for each in descriptors], [file for _, file in made])


def main(folder: str, title: str, image: str, *sifs: str) -> int:
    """Run as a command; see the module's docstring."""
    made = assemble(SifLayout(Path(folder), ""), title, Path(image), batched(sifs, 2))
    print(json.dumps(asdict(made)))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
