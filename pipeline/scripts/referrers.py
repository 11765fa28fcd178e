"""Attach documents to an image in one repository, so that whoever has its digest finds them; regctl does the protocol.

Usage: python -m pipeline.scripts.referrers JOB. JOB, the password and what is printed are those of
`pipeline.scripts.registry`, with the action "attach" and the key `attachments`. Where a registry cannot be asked what
is attached to a digest, regctl keeps the list under the tag sha256-…, as OCI has it. What is attached says nothing of
the time: the same document gives the same manifest, and one that is there is not pushed again.
"""

import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypedDict, cast

from pipeline.scripts.answers import Failure, Kind
from pipeline.scripts.registry import Job, Repository, Row, main

#: How often documents are attached that are not listed afterwards: two runs at the same time, each with a list of its
#: own to put under the tag, take entries from each other.
ROUNDS: Final = 3


class Attachment(TypedDict):
    """A document, and the image that it is about."""

    name: str
    """What the report calls it."""
    subject: str
    """The image's digest."""
    type: str
    """Its media type, by which clients choose."""
    annotations: dict[str, str]
    file: str


class AttachJob(Job):
    """What to attach in a repository."""

    attachments: list[Attachment]


class Referrers(Repository):
    """One repository, and what is attached to an image there."""

    def actions(self) -> dict[str, Callable[[], None]]:
        """What may be done, by the name that a job calls it."""
        return {"attach": self.attach}

    def attach(self) -> None:
        """Attach what is not there, and find everything in the end."""
        wanted = cast("AttachJob", self.job)["attachments"]
        found = self.find(wanted)
        self.report["rows"] = [_row(name, digest) for name, digest in found.items()]
        for _ in range(ROUNDS):
            for attachment in wanted:
                if attachment["name"] not in found:
                    self.put_document(attachment)
            found = self.find(wanted)
            if len(found) == len(wanted):
                return
        self.report["rows"] = [row for row in self.report["rows"] if row["tag"] in found]
        self.doing = "reading back what was attached"
        raise Failure(Kind.MISMATCH, f"it lists {', '.join(found) or 'nothing'} of what was attached")

    def find(self, attachments: Sequence[Attachment]) -> dict[str, str]:
        """The documents that are attached to their images, by name, and the digests of their manifests."""
        found = {}
        for subject in dict.fromkeys(attachment["subject"] for attachment in attachments):
            self.doing = f"reading what is attached to {subject}"
            reference = f"{self.name}@{subject}"
            listed = self.client.run("artifact", "list", reference, "--format", "{{json .Descriptors}}").output
            there = {
                (descriptor.get("artifactType"), document): str(descriptor["digest"])
                for descriptor in json.loads(listed) or ()
                for document in self.documents(descriptor, attachments)
            }
            for attachment in attachments:
                key = (attachment["type"], digest_of(Path(attachment["file"]).read_bytes()))
                if attachment["subject"] == subject and key in there:
                    found[attachment["name"]] = there[key]
        return found

    def documents(self, descriptor: dict[str, Any], attachments: Sequence[Attachment]) -> list[str]:
        """The digests of what a listed manifest consists of; nothing of one that is of none of the wanted types."""
        if descriptor.get("artifactType") not in {attachment["type"] for attachment in attachments}:
            return []
        try:
            body = self.client.run(
                "manifest", "get", f"{self.name}@{descriptor['digest']}", "--format", "raw-body"
            ).output
        except Failure as failure:
            # A list may name what was deleted since.
            if failure.kind is Kind.MISSING:
                return []
            raise
        if digest_of(body) != descriptor["digest"]:
            raise Failure(Kind.MISMATCH, f"it gives {digest_of(body)} for {descriptor['digest']}")
        return [str(layer["digest"]) for layer in json.loads(body)["layers"]]

    def put_document(self, attachment: Attachment) -> None:
        """Attach a document."""
        self.tag = attachment["name"]
        self.doing = f"attaching {self.tag}"
        file = Path(attachment["file"])
        annotations = (f"--annotation={key}={value}" for key, value in attachment["annotations"].items())
        answer = self.client.run(
            *("artifact", "put", "--subject", f"{self.name}@{attachment['subject']}"),
            *("--artifact-type", attachment["type"], "--file", attachment["file"], "--file-title", "--strip-dirs"),
            *annotations,
            *("--format", "{{.Manifest.GetDescriptor.Digest}}"),
        )
        uploaded = any(request.uploaded == digest_of(file.read_bytes()) for request in answer.requests)
        self.report["rows"] = [row for row in self.report["rows"] if row["tag"] != self.tag] + [
            Row(
                tag=self.tag,
                digest=answer.output.decode().strip(),
                pushed=True,
                bytes=file.stat().st_size if uploaded else 0,
                seconds=answer.seconds,
                tries=answer.tries,
            )
        ]


def digest_of(data: bytes) -> str:
    """The digest of some bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _row(name: str, digest: str) -> Row:
    """The row of what was there before."""
    return Row(tag=name, digest=digest, pushed=False, bytes=0, seconds=0.0, tries=0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Referrers))
