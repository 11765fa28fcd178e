"""Attach documents to an image in one repository, so that clients find them by its digest; regctl speaks the protocol.

Usage: python -m pipeline.scripts.referrers JOB. JOB, the password and the output are those of
`pipeline.scripts.registry`, with the actions "attach" and "find". In a registry without the referrers API, regctl keeps
the list under the fallback tag sha256-…, as OCI defines it. A manifest has no time of day: the same document gives the
same manifest, and one that is there is not pushed again.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pipeline.scripts.answers import Failure
from pipeline.scripts.messages import Document, Job, Kind, TagResult
from pipeline.scripts.regctl import Client
from pipeline.scripts.registry import Repository, main

#: Tries to attach documents that are not listed afterwards: two runs at the same time, each with its own list for the
#: fallback tag, overwrite each other's entries.
ROUNDS: Final = 3
#: Seconds that the check of a document may take.
CHECK_TIMEOUT: Final = 60


class Referrers(Repository):
    """One repository, and the attachments of an image there."""

    def __init__(self, job: Job, client: Client) -> None:
        super().__init__(job, client)
        self.actions = {"attach": self.attach, "find": self.require}
        self.listed: list[tuple[str, str]] = []
        """The subject and the type of each attachment, as the registry listed them last."""
        self.unfit = ""
        """The reason why the last document failed its check, in the words of the check."""

    def attach(self) -> None:
        """Attach the missing documents, and require that all are listed."""
        attached = self.find()
        self.report.rows = [_row(name, digest) for name, digest in attached.items()]
        for _ in range(ROUNDS):
            for attachment in self.job.documents:
                if attachment.name not in attached:
                    self.put_document(attachment)
            attached = self.find()
            if len(attached) == len(self.job.documents):
                return
        self.report.rows = [row for row in self.report.rows if row.tag in attached]
        self.doing = "reading back what was attached"
        raise Failure(Kind.MISMATCH, f"it lists {', '.join(attached) or 'nothing'} of what was attached")

    def require(self) -> None:
        """Require that all documents are listed."""
        attached = self.find()
        self.report.rows = [_row(name, digest) for name, digest in attached.items()]
        for attachment in self.job.documents:
            if attachment.name not in attached:
                others = self.listed.count((attachment.subject, attachment.type))
                reason = f"there is no {attachment.name}" + (f" that fits, of {others}" if others else "")
                reason += f": {self.unfit}" if self.unfit else ""
                raise Failure(Kind.MISSING, reason)

    def find(self) -> dict[str, str]:
        """Find the documents that are attached: the digests of their manifests by name."""
        attached = {}
        self.listed = []
        for subject in dict.fromkeys(attachment.subject for attachment in self.job.documents):
            self.doing = f"reading what is attached to {subject}"
            command = ("artifact", "list", f"{self.name}@{subject}", "--format", "{{json .Descriptors}}")
            for descriptor in json.loads(self.client.run(*command).output) or ():
                kind = (subject, descriptor.get("artifactType", ""))
                self.listed.append(kind)
                for attachment in self.job.documents:
                    same = (attachment.subject, attachment.type) == kind
                    if same and self.holds(descriptor["digest"], attachment):
                        attached[attachment.name] = str(descriptor["digest"])
        return attached

    def holds(self, digest: str, attachment: Document) -> bool:
        """Return whether a manifest has a document, or an equivalent one."""
        documents = self.documents(digest)
        if not attachment.check:
            return digest_of(Path(attachment.file).read_bytes()) in documents
        return any(self.passes(document, attachment.check) for document in documents)

    def documents(self, digest: str) -> Sequence[str]:
        """Return the digests of a manifest's layers."""
        try:
            body = self.client.run("manifest", "get", f"{self.name}@{digest}", "--format", "raw-body").output
        except Failure as failure:
            # A list may name a manifest that was deleted since.
            if failure.kind is Kind.MISSING:
                return ()
            raise
        if digest_of(body) != digest:
            raise Failure(Kind.MISMATCH, f"it gives {digest_of(body)} for {digest}")
        manifest: dict[str, Any] = json.loads(body)
        return [str(layer["digest"]) for layer in manifest.get("layers", ())]

    def passes(self, digest: str, check: Sequence[str]) -> bool:
        """Return whether a document passes a check."""
        with tempfile.NamedTemporaryFile() as file:
            file.write(self.client.run("blob", "get", self.name, digest).output)
            file.flush()
            command = [*check, file.name]
            try:
                ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=CHECK_TIMEOUT)
            except subprocess.TimeoutExpired:
                self.unfit = f"looking at it took longer than {CHECK_TIMEOUT} s"
                return False
        if ended.returncode:
            errors = [line for line in ended.stderr.splitlines() if line.startswith("Error: ")]
            self.unfit = errors[-1].removeprefix("Error: ") if errors else ""
        return ended.returncode == 0

    def put_document(self, attachment: Document) -> None:
        """Attach a document."""
        self.tag = attachment.name
        self.doing = f"attaching {self.tag}"
        file = Path(attachment.file)
        annotations = (f"--annotation={key}={value}" for key, value in attachment.annotations.items())
        answer = self.client.run(
            *("artifact", "put", "--subject", f"{self.name}@{attachment.subject}"),
            *("--artifact-type", attachment.type, "--file", attachment.file, "--file-title", "--strip-dirs"),
            *annotations,
            *("--format", "{{.Manifest.GetDescriptor.Digest}}"),
        )
        uploaded = any(request.uploaded == digest_of(file.read_bytes()) for request in answer.requests)
        row = TagResult(
            tag=self.tag,
            digest=answer.output.decode().strip(),
            pushed=True,
            bytes=file.stat().st_size if uploaded else 0,
            seconds=answer.seconds,
            tries=answer.tries,
        )
        self.report.rows = [*(other for other in self.report.rows if other.tag != self.tag), row]


def digest_of(data: bytes) -> str:
    """Return the digest of some bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _row(name: str, digest: str) -> TagResult:
    """Return the result for a document that was there before."""
    return TagResult(tag=name, digest=digest, pushed=False, bytes=0, seconds=0.0, tries=0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Referrers))
