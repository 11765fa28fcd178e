"""Read the layers of a base image from its registry; regctl speaks the protocol.

Usage: python -m pipeline.scripts.base_layers JOB OUTPUT. JOB is a file with `Job` in JSON; the password, if there is
one, is in the variable REGISTRY_PASSWORD. With the action "describe", two files in OUTPUT are written about the job's
digest on its platform: layers.json, a JSON array with a `Packed` for each layer, lowest first, and settings.json, a
JSON object with the keys of its configuration that Docker adds to OCI's. With "fetch", the job's blobs are written to
OUTPUT, a folder of an OCI layout. It fails where that is not possible, and the last line of the output has the reason:
the engine keeps what succeeds.
"""

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pipeline.scripts.answers import Failure, without_secret
from pipeline.scripts.messages import Job, Kind
from pipeline.scripts.regctl import Client, Limits

#: Media types of layers in Docker's manifests, and the same in OCI's.
OCI_TYPES: Final[Mapping[str, str]] = {
    "application/vnd.docker.image.rootfs.diff.tar": "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
}

#: Keys that Docker's image specification adds to OCI's.
DOCKER_KEYS: Final = ("Healthcheck", "OnBuild", "Shell")

type Json = dict[str, Any]


class BaseImage:
    """A base image in its registry."""

    def __init__(self, job: Job, client: Client) -> None:
        self.job = job
        self.client = client

    def describe(self) -> tuple[list[Json], Json]:
        """Return its layers on the job's platform, and its settings that are Docker's own."""
        manifest = self._document(self.job.digest)
        if "manifests" in manifest:
            name = f"{self.job.repository}@{self.job.digest}"
            command = ("manifest", "head", name, "--platform", self.job.platform)
            manifest = self._document(self.client.run(*command).output.decode().strip())
        config = json.loads(self.client.run("blob", "get", self.job.repository, manifest["config"]["digest"]).output)
        layers, diff_ids = manifest["layers"], config["rootfs"]["diff_ids"]
        if len(layers) != len(diff_ids):
            raise Failure(Kind.REJECTED, f"its manifest has {len(layers)} layers, its configuration {len(diff_ids)}")
        described = [
            {
                "mediaType": OCI_TYPES.get(layer["mediaType"], layer["mediaType"]),
                "digest": layer["digest"],
                "size": layer["size"],
                "diff_id": diff_id,
            }
            for layer, diff_id in zip(layers, diff_ids, strict=True)
        ]
        settings = config.get("config") or {}
        return described, {key: settings[key] for key in DOCKER_KEYS if settings.get(key)}

    def fetch(self, output: Path) -> None:
        """Write the job's blobs to a layout, each as its digest names it."""
        for digest in self.job.blobs:
            self.client.run("blob", "copy", self.job.repository, f"ocidir://{output}", digest)
            with (output / "blobs" / digest.replace(":", "/")).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if digest != f"sha256:{found}":
                raise Failure(Kind.MISMATCH, f"it gives sha256:{found} for {digest}")

    def _document(self, digest: str) -> Json:
        """Return a manifest or index."""
        name = f"{self.job.repository}@{digest}"
        data = self.client.run("manifest", "get", name, "--format", "raw-body").output
        if digest != (found := f"sha256:{hashlib.sha256(data).hexdigest()}"):
            raise Failure(Kind.MISMATCH, f"it gives {found} for {digest}")
        content: Json = json.loads(data)
        return content


def main(file: str, folder: str) -> int:
    """Run as a command; see the module's docstring."""
    job = Job(**json.loads(Path(file).read_text(encoding="utf-8")))
    password, output = os.environ.get("REGISTRY_PASSWORD", ""), Path(folder)
    output.mkdir(parents=True, exist_ok=True)
    limits = Limits(timeout=job.timeout, tries=job.tries, seconds=job.seconds)
    image = BaseImage(job, Client(limits, program=job.program, name=job.repository))
    try:
        image.client.log_in(job, password)
        if job.action == "fetch":
            image.fetch(output)
        else:
            for name, content in zip(("layers", "settings"), image.describe(), strict=True):
                (output / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    except Failure as failure:
        print(without_secret(failure.reason, job.username, password), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
