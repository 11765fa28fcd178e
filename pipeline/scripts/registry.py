"""Query the tags of one repository, push an image to it, or move its tags; regctl speaks the protocol.

Usage: python -m pipeline.scripts.registry JOB. JOB is a file with `Job` in JSON; the password, if there is one, is in
the variable REGISTRY_PASSWORD. Prints `RepositoryReport` in JSON, after a failure too: a non-zero exit code means only
that there is no report.
"""

import contextlib
import hashlib
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from pipeline.scripts.answers import Failure, without_secret
from pipeline.scripts.layer_format import find_format
from pipeline.scripts.messages import SIF, Document, Job, Kind, Origin, RegistryFailure, RepositoryReport, TagResult
from pipeline.scripts.regctl import DISK, DOCUMENT, Answer, Client, Limits, Target

#: Paths of the image and of its SIF, two OCI layouts.
LAYOUT: Final = "/layout"
SIF_LAYOUT: Final = "/sif-layout"
#: The empty JSON object, OCI's well-known empty blob.
EMPTY: Final = b"{}"
EMPTY_DIGEST: Final = f"sha256:{hashlib.sha256(EMPTY).hexdigest()}"
#: The tag that goes to no older commit.
LATEST: Final = "latest"
#: Label of the commit that an image was made from.
REVISION: Final = "org.opencontainers.image.revision"
#: Tag of OCI's fallback, an index of the attachments of a digest in a registry without the referrers API; not an image.
FALLBACK: Final = r"sha256-[0-9a-f]{64}"


class Repository:
    """One repository, and the report about it."""

    def __init__(self, job: Job, client: Client) -> None:
        self.job = job
        self.client = client
        self.name = job.repository
        self.doing = ""
        self.tag = ""
        self.actions: dict[str, Callable[[], None]] = {
            "ask": self.ask, "push": self.push, "move": self.move, "require": self.require_image
        }  # fmt: skip
        self.report = RepositoryReport()

    def run(self, password: str) -> RepositoryReport:
        """Do the job; a failure ends it, and is part of the report."""
        started = time.monotonic()
        try:
            self.log_in(password)
            self.actions[self.job.action]()
        except Failure as failure:
            self.report.failure = RegistryFailure(
                doing=self.doing,
                tag=self.tag,
                kind=failure.kind,
                reason=without_secret(failure.reason, self.job.username, password),
                tries=failure.tries,
                seconds=time.monotonic() - started,
            )
        return self.report

    def log_in(self, password: str) -> None:
        """Give regctl the credentials; only ask, the first action, has the registry check them."""
        if not self.job.username:
            return
        self.doing = "logging in"
        self.client.log_in(self.job, password, checked=self.job.action == "ask")

    def ask(self) -> None:
        """Report the tags, and the digests of the job's tags; check the permission to push if one is missing."""
        try:
            self.look()
        except Failure as failure:
            # Some registries deny access to a missing repository, which the first push makes.
            if failure.kind is not Kind.DENIED or not self.job.writes:
                raise
        if self.job.writes and not set(self.job.tags) <= self.report.digests.keys():
            self.doing = "asking whether one may push"
            self.client.run("blob", "put", self.name, "--digest", EMPTY_DIGEST, stdin=EMPTY)
        if not self.job.writes:
            self.look_from_outside()

    def look(self) -> None:
        """Report the tags, and the digests of the job's tags."""
        self.tag = ""
        self.report.tags = self.list_tags()
        tags = [*self.job.tags, *self.job.floating]
        digests = {tag: self.digest(tag) for tag in dict.fromkeys(tags)}
        self.report.digests = {tag: digest for tag, digest in digests.items() if digest}
        # A SIF's tags follow those of its image, so nothing is decided about them.
        images = [tag for tag in tags if not tag.endswith(SIF)]
        contested = [tag for tag in images if tag == LATEST or tag.startswith("sha-")]
        others = [tag for tag in contested if self.report.digests.get(tag, self.job.digest) != self.job.digest]
        self.report.origins = {tag: self.origin(tag) for tag in others}

    def require_image(self) -> None:
        """Require an image with the job's digest, under whatever tag or none, and report the format of its layers."""
        self.doing = f"asking for {self.job.digest}"
        self.client.run("manifest", "head", f"{self.name}@{self.job.digest}")
        # The image is there, whatever it is.
        with contextlib.suppress(Failure, LookupError, TypeError, AttributeError, ValueError, RecursionError):
            self.report.layer_format = find_format(self.configuration(self.job.digest))

    def configuration(self, digest: str) -> dict[str, Any]:
        """Return an image's configuration; of an index, that of its first image."""
        manifest = self.read_manifest(digest)
        if "manifests" in manifest:
            manifest = self.read_manifest(manifest["manifests"][0]["digest"])
        with tempfile.TemporaryFile(dir=DISK) as file:
            self.client.run("blob", "get", self.name, manifest["config"]["digest"], target=Target(file, DOCUMENT))
            file.seek(0)
            content: dict[str, Any] = json.load(file)
        return content

    def read_manifest(self, digest: str) -> dict[str, Any]:
        """Return a manifest or index."""
        name = f"{self.name}@{digest}"
        content: dict[str, Any] = json.loads(self.client.run("manifest", "get", name, "--format", "raw-body").output)
        return content

    def push(self) -> None:
        """Push the image and its SIF under each missing tag, read all of them back, and report the floating ones."""
        there: set[str] = set()
        for tag in self.job.tags:
            digest = self.digest_for(tag)
            layout = SIF_LAYOUT if tag.endswith(SIF) else LAYOUT
            # The next tag is copied within the repository.
            self.put(tag, f"{self.name}@{digest}" if digest in there else f"ocidir://{layout}@{digest}")
            there.add(digest)
        self.look()
        self.look_from_outside()

    def look_from_outside(self) -> None:
        """Report whether what is there can be pulled without credentials; a failure to find out is no failure."""
        digest = next(iter(self.report.digests.values()), "")
        if not self.job.username or not digest:
            return
        try:
            self.client.without_credentials().run("manifest", "head", f"{self.name}@{digest}")
        except Failure as failure:
            # Some registries hide from strangers what exists.
            if failure.kind in (Kind.DENIED, Kind.MISSING):
                self.report.private = failure.reason

    def move(self) -> None:
        """Move tags to an image in the repository, unless something came that the decision did not know.

        That is a new tag, or another image at a tag that is to be moved.
        """
        for tag in self.job.tags:
            new = not set(self.list_tags()) <= {*self.job.known, *self.job.tags}
            digest = self.digest_for(tag)
            if new or self.digest(tag) not in (self.job.standing.get(tag, ""), digest):
                self.look()
                self.report.changed = True
                return
            self.put(tag, f"{self.name}@{digest}", over=True)
        self.look()
        self.report.changed = not set(self.report.tags) <= {*self.job.known, *self.job.tags}

    def put(self, tag: str, source: str, *, over: bool = False) -> None:
        """Copy an image to a tag that is not at it, and read the tag back."""
        self.tag = tag
        digest = self.digest_for(tag)
        self.doing = f"reading {tag}"
        there = self.digest(tag)
        answer = Answer(b"", tries=0)
        if there and there != digest and not over:
            raise Failure(Kind.MISMATCH, f"{tag} is there already with {there}, and {digest} was built")
        if there != digest:
            self.doing = f"pushing {tag}"
            answer = self.client.run("image", "copy", source, f"{self.name}:{tag}")
        self.doing = f"reading {tag} back"
        there = self.read_back(tag)
        if there != digest:
            raise Failure(Kind.MISMATCH, f"it gives {there} for {tag}, and {digest} was built")
        row = TagResult(
            tag=tag,
            digest=there,
            pushed=answer.tries > 0,
            bytes=sum(_size(request.uploaded) for request in answer.requests),
            seconds=answer.seconds,
            tries=answer.tries,
        )
        self.report.rows = [*self.report.rows, row]

    def digest_for(self, tag: str) -> str:
        """Return the digest that the job wants for a tag: that of the image, or of its SIF."""
        return self.job.sif if tag.endswith(SIF) else self.job.digest

    def list_tags(self) -> list[str]:
        """List the tags of images; none if the repository does not exist yet."""
        self.doing = "reading the tags"
        try:
            tags = self.client.run("tag", "ls", self.name).output.decode().split()
            return sorted(tag for tag in tags if not re.fullmatch(FALLBACK, tag))
        except Failure as failure:
            if failure.kind is Kind.MISSING:
                return []
            raise

    def digest(self, tag: str) -> str:
        """Return the digest that the registry reports for a tag; empty if there is no such tag."""
        try:
            return self.client.run("manifest", "head", f"{self.name}:{tag}").output.decode().strip()
        except Failure as failure:
            if failure.kind is Kind.MISSING:
                return ""
            raise

    def read_back(self, tag: str) -> str:
        """Return the digest of the bytes that the registry serves for a tag."""
        body = self.client.run("manifest", "get", f"{self.name}:{tag}", "--format", "raw-body").output
        return f"sha256:{hashlib.sha256(body).hexdigest()}"

    def origin(self, tag: str) -> Origin:
        """Return the commit of the image at a tag, from its configuration."""
        try:
            text = self.client.run("image", "inspect", f"{self.name}:{tag}", "--format", "{{json .}}").output
            image = json.loads(text)
            labels = (image.get("config") or {}).get("Labels") or {}
            return Origin(str(labels.get(REVISION) or ""), str(image.get("created") or ""))
        except Failure as failure:
            if failure.kind is Kind.TRANSIENT:
                raise
        except (ValueError, AttributeError):
            pass
        # It only helps to decide, and an image from elsewhere may lack it.
        return Origin("", "")


def _size(digest: str) -> int:
    """Return the size of a blob of the mounted image or SIF; 0 if they have no such blob."""
    blobs = [Path(layout, "blobs", *digest.split(":")) for layout in (LAYOUT, SIF_LAYOUT)]
    return next((blob.stat().st_size for blob in blobs if digest and blob.is_file()), 0)


def main(file: str, kind: type[Repository] = Repository) -> int:
    """Run as a command; see the module's docstring."""
    values = json.loads(Path(file).read_text())
    job = Job(**{**values, "documents": [Document(**document) for document in values["documents"]]})
    limits = Limits(timeout=job.timeout, tries=job.tries, seconds=job.seconds)
    repository = kind(job, Client(limits, program=job.program, name=job.repository))
    print(json.dumps(asdict(repository.run(os.environ.get("REGISTRY_PASSWORD", "")))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
