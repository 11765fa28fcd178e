"""Base images of other distributions, made and pushed when a test first asks for them; each a stand-in.

They have what matters to a build: which C library, shell, programs and database of packages there are, and at which
paths. The programs are Debian's.
"""

import hashlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tests.sandbox import base_roots, oci
from tests.sandbox.images import SHELL, SYSTEM_PATH
from tests.sandbox.machine import Machine
from tests.sandbox.state import current

#: Each image by its name here, and where it is.
REFERENCES: Final = {
    "alpine": "docker.io/library/alpine:3.22",
    "almalinux": "docker.io/library/almalinux:9",
    # gcr.io is no name of the sandbox.
    "distroless": "ghcr.io/maniaclab/distroless:debian12",
    "conda-runtime": "ghcr.io/prefix-dev/conda-runtime:glibc-bash",
}
SETTINGS: Final = {
    "alpine": oci.Settings({"PATH": SYSTEM_PATH}, ["/bin/sh"]),
    "almalinux": SHELL,
    "distroless": oci.Settings({"PATH": SYSTEM_PATH, "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt"}),
    "conda-runtime": oci.Settings({"PATH": SYSTEM_PATH, "LANG": "C.UTF-8"}, ["/bin/bash"]),
}


def push(name: str, to: str = "", more: Mapping[str, Any] | None = None) -> str:
    """Push an image to its registry, and return its reference.

    Args:
        name: its name in :data:`REFERENCES`.
        to: another reference.
        more: keys of its configuration that are added to :data:`SETTINGS`.

    Raises:
        SandboxError: a package of Debian's cannot be had.
    """
    reference = to or REFERENCES[name]
    state = current()
    # The engine's machine sees this folder.
    with tempfile.TemporaryDirectory(dir=state.run) as folder:
        layout = Path(folder)
        oci.write_layout(layout, [base_roots.layer(name)], SETTINGS[name])
        if more:
            _configure(layout, more)
        command = ["skopeo", "copy", "--quiet", f"--dest-authfile={state.secrets / 'auth.json'}"]
        command += ["--preserve-digests", f"oci:{layout}", f"docker://{reference}"]
        Machine(state).run(command, state.log / "images.log")
    return reference


def _configure(layout: Path, more: Mapping[str, Any]) -> None:
    """Add keys to the configuration of the one image in a layout."""
    index = json.loads((layout / "index.json").read_text())
    manifest = _read(layout, index["manifests"][0])
    config = _read(layout, manifest["config"])
    config["config"] |= more
    manifest["config"] |= _write(layout, config)
    index["manifests"][0] |= _write(layout, manifest)
    (layout / "index.json").write_text(json.dumps(index))


def _read(layout: Path, descriptor: Mapping[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((layout / "blobs" / descriptor["digest"].replace(":", "/")).read_text())
    return content


def _write(layout: Path, content: Mapping[str, Any]) -> dict[str, object]:
    data = json.dumps(content).encode()
    digest = hashlib.sha256(data).hexdigest()
    (layout / "blobs/sha256" / digest).write_bytes(data)
    return {"digest": f"sha256:{digest}", "size": len(data)}
