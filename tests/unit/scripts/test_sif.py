"""SIF files: the bytes that Apptainer's own library writes."""

import hashlib
from pathlib import Path

from pipeline.scripts import sif

#: Digest of the file that `CreateContainer` of github.com/apptainer/sif/v2 v2.25.0 writes from these parts, with the
#: launch script of Apptainer, `OptCreateDeterministic` and this time.
OF_THE_LIBRARY = "5d1a02939219ff8e1edaf2a09f9d8d2d88cfbb0840fba6a924ffb2f186881243"
PARTS = {
    "Singularity": b"bootstrap: oci\n",
    "inspect-metadata.json": b'{"a":1}\n',
    "oci-config.json": b"{}\n",
    "root.squashfs": bytes(range(256)) * 40,
}


def test_the_file_is_that_of_the_library(tmp_path: Path) -> None:
    """Header, descriptors and places of the objects, byte for byte; and anybody may run it."""
    for name, content in PARTS.items():
        (tmp_path / name).write_bytes(content)
    file = tmp_path / "image.sif"
    assert sif.main(str(tmp_path), "amd64", "1000", str(file)) == 0
    assert hashlib.sha256(file.read_bytes()).hexdigest() == OF_THE_LIBRARY
    assert file.stat().st_mode & 0o777 == 0o755


def test_the_architecture_is_that_of_the_image(tmp_path: Path) -> None:
    """Apptainer refuses to run a file of another one: header and file system name it."""
    for name, content in PARTS.items():
        (tmp_path / name).write_bytes(content)
    made = {}
    for architecture in ("amd64", "arm64"):
        sif.main(str(tmp_path), architecture, "0", str(tmp_path / architecture))
        made[architecture] = (tmp_path / architecture).read_bytes()
    changed = [number for number, two in enumerate(zip(*made.values(), strict=True)) if len(set(two)) > 1]
    details = sif.TABLE + 4 * sif.DESCRIPTOR.size - 384 + 8
    assert changed == [46, details + 1]
    assert made["arm64"][45:47] == b"04"
