"""Compare a published image with one that was built, and tell what of which layer differs.

Usage: python -m pipeline.scripts.compare JOB. JOB is a JSON file with the keys of `Job`. Only layers that one of the
two images alone has are read. Prints a JSON object with the keys of `Comparison`.
"""

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, TypedDict

from pipeline.scripts.answers import Failure
from pipeline.scripts.listing import Difference, Entry, compare_documents, compare_layers, pair, read
from pipeline.scripts.regctl import Client, Limits

#: Differences that are told; more say nothing more.
TOLD: Final = 200

type Json = dict[str, Any]


class Job(TypedDict):
    """What to compare, and how to get it."""

    repository: str
    host: str
    username: str
    digest: str
    """Of the published image."""
    layout: str
    """The folder with the OCI layout of the built one."""
    program: str
    timeout: float
    tries: int
    seconds: float


class Comparison(TypedDict):
    """What was found."""

    differences: list[Difference]
    more: int
    """How many differences were not told."""
    failure: str
    """Why the published image could not be read."""


class Published:
    """An image in a registry."""

    def __init__(self, job: Job, client: Client) -> None:
        self.job = job
        self.client = client

    def log_in(self, password: str) -> None:
        """Give regctl the credentials, where there are some."""
        job = self.job
        if job["username"]:
            login = ("registry", "login", job["host"], "--user", job["username"], "--pass-stdin", "--skip-check")
            self.client.run(*login, given=password.encode())

    def manifest(self, digest: str) -> Json:
        """A manifest or index."""
        name = f"{self.job['repository']}@{digest}"
        found: Json = json.loads(self.client.run("manifest", "get", name, "--format", "raw-body").output)
        return found

    def blob(self, digest: str) -> bytes:
        """A layer or configuration."""
        return self.client.run("blob", "get", self.job["repository"], digest).output


class Layout:
    """An image in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def digest(self) -> str:
        """The digest of its manifest or index."""
        index: Json = json.loads((self.folder / "index.json").read_bytes())
        return str(index["manifests"][0]["digest"])

    def manifest(self, digest: str) -> Json:
        """A manifest or index."""
        found: Json = json.loads(self.blob(digest))
        return found

    def blob(self, digest: str) -> bytes:
        """A layer or configuration."""
        return (self.folder / "blobs" / digest.replace(":", "/")).read_bytes()


def compare(published: Published | Layout, digest: str, built: Layout) -> Iterable[Difference]:
    """How a published image differs from a built one."""
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
    for left, right in pair(before, after):
        number, count = (before.index(left) + 1, len(before)) if left else (after.index(right or "") + 1, len(after))
        place = f"{prefix}layer {number} of {count}"
        try:
            listings: list[dict[str, Entry]] = [
                read(published.blob(left)) if left else {},
                read(built.blob(right)) if right else {},
            ]
        except ValueError as error:
            yield Difference(place=place, path="", what=str(error), published=left or "", built=right or "")
        else:
            yield from compare_layers(place, *listings)
    if old["config"]["digest"] != new["config"]["digest"]:
        documents = (json.loads(side.blob(m["config"]["digest"])) for side, m in ((published, old), (built, new)))
        # The digests of layers are in it too, and their differences are told above.
        yield from compare_documents(f"{prefix}configuration", *({**config, "rootfs": ""} for config in documents))
    left_out = {"config": "", "layers": [layer["mediaType"] for layer in old["layers"]]}
    yield from compare_documents(
        f"{prefix}manifest", {**old, **left_out}, {**new, **left_out, "layers": [x["mediaType"] for x in new["layers"]]}
    )


def _platforms(manifest: Json, digest: str) -> dict[str, str]:
    """The digest of each platform's manifest; an image that is not in an index has one."""
    if "manifests" not in manifest:
        return {"": digest}
    return {
        "/".join(filter(None, (entry["platform"].get(key) for key in ("os", "architecture", "variant")))): entry[
            "digest"
        ]
        for entry in manifest["manifests"]
    }


def main(file: str) -> int:
    """Run as a command; see the module's docstring."""
    job: Job = json.loads(Path(file).read_text())
    limits = Limits(timeout=job["timeout"], tries=job["tries"], seconds=job["seconds"])
    published = Published(job, Client(limits, program=job["program"], name=job["repository"]))
    found = Comparison(differences=[], more=0, failure="")
    try:
        published.log_in(os.environ.get("REGISTRY_PASSWORD", ""))
        differences = list(compare(published, job["digest"], Layout(Path(job["layout"]))))
        found["differences"], found["more"] = differences[:TOLD], max(len(differences) - TOLD, 0)
    except Failure as failure:
        found["failure"] = failure.reason
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
