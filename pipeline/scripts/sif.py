"""Write a SIF file, the format of Apptainer's images, in which nothing depends on the time of day or on chance.

Usage: python -m pipeline.scripts.sif PARTS ARCHITECTURE CREATED SIF. PARTS is the folder that ``squash.sh`` writes,
with the image's configuration in oci-config.json; CREATED is the time of the image in seconds since 1970.

A SIF file is a header, a table with 48 descriptors, and the content of the objects, the file system at a multiple of
4096 bytes. The fields are those of ``header`` and ``rawDescriptor`` in github.com/apptainer/sif/v2 (``pkg/sif``,
specification 01), as its ``CreateContainer`` writes them. Its program ``siftool`` is not used, since it writes the time
of day and a random identifier.
"""

import shutil
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: Launch script, magic, version, architecture, identifier, two times, and the number, place and size of descriptors and
#: data.
HEADER: Final = struct.Struct("<32s10s3s3s16s8q")
LAUNCH: Final = b"#!/usr/bin/env run-singularity\n"
#: Type, whether it is used, identifier, group, link, place, size, size with padding, two times, two owners, name,
#: details.
DESCRIPTOR: Final = struct.Struct("<i?3I7q128s384s")
#: Architectures of the format, by their names in Go.
ARCHITECTURES: Final = {"386": b"01", "amd64": b"02", "arm": b"03", "arm64": b"04", "ppc64le": b"06", "s390x": b"11"}
#: Place and number of the descriptors.
TABLE: Final = 4096
CAPACITY: Final = 48
#: The first group of objects.
GROUP: Final = 0xF0000001
#: Types of objects; the file system is squashfs, and the one that is run.
DEFINITION: Final = 0x4001
PARTITION: Final = 0x4004
JSON: Final = 0x4006
SQUASHFS_SYSTEM: Final = (1, 2)
#: Multiple at which a file system begins.
ALIGNMENT: Final = 4096
#: Bytes that are copied at once.
BUFFER: Final = 8 * 1024 * 1024


@dataclass(frozen=True)
class Part:
    """One object of a SIF file."""

    kind: int
    file: Path
    name: bytes = b""
    details: bytes = b""


def write(target: Path, parts: Sequence[Part], architecture: str, created: int) -> None:
    """Write a SIF file with some objects."""
    code = ARCHITECTURES[architecture]
    begin = end = TABLE + CAPACITY * DESCRIPTOR.size
    descriptors = b""
    with target.open("wb") as file:
        for number, part in enumerate(parts, 1):
            place = -(-end // ALIGNMENT) * ALIGNMENT if part.kind == PARTITION else end
            size = part.file.stat().st_size
            descriptors += DESCRIPTOR.pack(
                part.kind, 1, number, GROUP, 0, place, size, place - end + size,
                created, created, 0, 0, part.name, part.details,
            )  # fmt: skip
            file.seek(place)
            with part.file.open("rb") as source:
                shutil.copyfileobj(source, file, BUFFER)
            end = place + size
        counts = (CAPACITY - len(parts), CAPACITY, TABLE, CAPACITY * DESCRIPTOR.size, begin, end - begin)
        file.seek(0)
        # Without an identifier, as Apptainer writes a reproducible file: a random one would differ.
        file.write(HEADER.pack(LAUNCH, b"SIF_MAGIC", b"01", code, bytes(16), created, created, *counts))
        file.seek(TABLE)
        file.write(descriptors)
    target.chmod(0o755)


def main(folder: str, architecture: str, created: str, target: str) -> int:
    """Run as a command; see the module's docstring."""
    parts = Path(folder)
    system = struct.pack("<2i3s", *SQUASHFS_SYSTEM, ARCHITECTURES[architecture])
    # In the order of Apptainer: the file system is the last one.
    objects = [
        Part(DEFINITION, parts / "Singularity"),
        *(Part(JSON, parts / name, name.encode()) for name in ("inspect-metadata.json", "oci-config.json")),
        Part(PARTITION, parts / "root.squashfs", details=system),
    ]
    write(Path(target), objects, architecture, int(created))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
