"""Compare a published image with a built one, and report the differences of each layer.

Usage: python -m pipeline.scripts.compare JOB LAYOUT. JOB is a file with `Job` in JSON, LAYOUT the folder with the OCI
layout of the built image. Only layers that are in one of the two images alone are read, one after the other. Prints
`Comparison` in JSON.
"""

import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final

from pipeline.scripts.answers import Failure
from pipeline.scripts.listing import UNPACKED, Allowance, Entry, compare_documents, compare_layers, pair, read
from pipeline.scripts.messages import Comparison, Difference, Job
from pipeline.scripts.regctl import DISK, DOCUMENT, Client, Limits, Target

#: Number of differences in the report; further ones are only counted.
REPORTED: Final = 200

type Json = dict[str, Any]


class Published:
    """An image in a registry."""

    def __init__(self, job: Job, client: Client) -> None:
        self.job = job
        self.client = client

    def manifest(self, digest: str) -> Json:
        """Return a manifest or index."""
        name = f"{self.job.repository}@{digest}"
        content: Json = json.loads(self.client.run("manifest", "get", name, "--format", "raw-body").output)
        return content

    @contextmanager
    def blob(self, digest: str, limit: int) -> Iterator[IO[bytes]]:
        """Open a layer or configuration, whose size may not be above a limit."""
        with tempfile.TemporaryFile(dir=DISK) as file:
            self.client.run("blob", "get", self.job.repository, digest, target=Target(file, limit))
            yield file


class Layout:
    """An image in an OCI layout."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def digest(self) -> str:
        """Return the digest of the image's manifest or index."""
        index: Json = json.loads((self.folder / "index.json").read_bytes())
        return str(index["manifests"][0]["digest"])

    def manifest(self, digest: str) -> Json:
        """Return a manifest or index."""
        with self.blob(digest) as file:
            content: Json = json.load(file)
        return content

    @contextmanager
    def blob(self, digest: str, limit: int = UNPACKED) -> Iterator[IO[bytes]]:  # noqa: ARG002  # built here
        """Open a layer or configuration."""
        with (self.folder / "blobs" / digest.replace(":", "/")).open("rb") as file:
            yield file


def compare(published: Published | Layout, digest: str, built: Layout) -> Iterable[Difference]:
    """Yield the differences between a published image and a built one."""
    old, new = published.manifest(digest), built.manifest(built.digest())
    ours, theirs = _platforms(new, built.digest()), _platforms(old, digest)
    if ours.keys() != theirs.keys():
        yield from compare_documents("index", sorted(theirs), sorted(ours))
    for platform in [name for name in ours if name in theirs and ours[name] != theirs[name]]:
        yield from _compare_manifests(
            f"{platform} " if len(ours) > 1 else "", published, published.manifest(theirs[platform]), built,
            built.manifest(ours[platform]),
        )  # fmt: skip


def _compare_manifests(
    prefix: str, published: Published | Layout, old: Json, built: Layout, new: Json
) -> Iterable[Difference]:
    before, after = ([layer["digest"] for layer in manifest["layers"]] for manifest in (old, new))
    sizes = {layer["digest"]: layer.get("size", UNPACKED) for layer in old["layers"]}
    allowance = Allowance(UNPACKED)
    for left, right in pair(before, after):
        number, count = (before.index(left) + 1, len(before)) if left else (after.index(right or "") + 1, len(after))
        location = f"{prefix}layer {number} of {count}"
        try:
            listings: list[Mapping[str, Entry]] = [
                _listing(published, left, min(sizes[left], UNPACKED), allowance) if left else {},
                _listing(built, right, UNPACKED, Allowance(UNPACKED)) if right else {},
            ]
        except ValueError as error:
            yield Difference(location=location, path="", what=str(error), published=left or "", built=right or "")
        else:
            yield from compare_layers(location, *listings)
    if old["config"]["digest"] != new["config"]["digest"]:
        documents = [_document(side, m["config"]["digest"]) for side, m in ((published, old), (built, new))]
        # Without the digests of the layers, whose differences are reported above.
        yield from compare_documents(f"{prefix}configuration", *({**config, "rootfs": ""} for config in documents))
    left_out = {"config": "", "layers": [layer["mediaType"] for layer in old["layers"]]}
    yield from compare_documents(
        f"{prefix}manifest", {**old, **left_out}, {**new, **left_out, "layers": [x["mediaType"] for x in new["layers"]]}
    )


def _listing(side: Published | Layout, digest: str, limit: int, allowance: Allowance) -> dict[str, Entry]:
    with side.blob(digest, limit) as file:
        return read(file, allowance)


def _document(side: Published | Layout, digest: str) -> Json:
    with side.blob(digest, DOCUMENT) as file:
        content: Json = json.load(file)
    return content


def _platforms(manifest: Json, digest: str) -> dict[str, str]:
    """Return the digest of each platform's manifest; an image without an index has one, with an empty name."""
    if "manifests" not in manifest:
        return {"": digest}
    return {
        "/".join(filter(None, (entry["platform"].get(key) for key in ("os", "architecture", "variant")))): entry[
            "digest"
        ]
        for entry in manifest["manifests"]
    }


def main(file: str, layout: str) -> int:
    """Run as a command; see the module's docstring."""
    job = Job(**json.loads(Path(file).read_text()))
    limits = Limits(timeout=job.timeout, tries=job.tries, seconds=job.seconds)
    published = Published(job, Client(limits, program=job.program, name=job.repository))
    try:
        published.client.log_in(job, os.environ.get("REGISTRY_PASSWORD", ""))
        differences = iter(compare(published, job.digest, Layout(Path(layout))))
        # Further ones are counted one by one, since there may be any number.
        comparison = Comparison(list(islice(differences, REPORTED)), sum(1 for _ in differences))
    except Failure as failure:
        comparison = Comparison(failure=failure.reason)
    except (LookupError, TypeError, AttributeError, ValueError, RecursionError) as error:
        comparison = Comparison(failure=f"its manifest or configuration is not one of an image: {error!r}")
    print(json.dumps(asdict(comparison)))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
