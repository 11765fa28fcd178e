"""Attach documents to an image in one repository, so that clients find them by its digest; regctl speaks the protocol.

Usage: python -m pipeline.scripts.referrers JOB. JOB, the password and the output are those of
`pipeline.scripts.registry`, with the actions "attach" and "find". In a registry without the referrers API, regctl keeps
the list under the fallback tag sha256-…, as OCI defines it. A manifest has no time of day: the same document gives the
same manifest, and one that is there is not pushed again.
"""

import base64
import hashlib
import json
import subprocess
import sys
import tempfile
from collections import Counter
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
        self.others: Counter[str] = Counter()
        """By document, the number of others of its kind that the registry listed last."""
        self.unfit: dict[str, str] = {}
        """By document, the reason why the last other one failed its check, in the words of the check."""
        self.manifests: dict[str, dict[str, Any]] = {}
        self.blobs: dict[str, bytes] = {}
        """Manifests and blobs that were read, by digest: several documents are searched for among the same ones."""

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
                others, unfit = self.others[attachment.name], self.unfit.get(attachment.name)
                reason = f"there is no {attachment.name}" + (f" that fits, of {others}" if others else "")
                reason += f": {unfit}" if unfit else ""
                raise Failure(Kind.MISSING, reason)

    def find(self) -> dict[str, str]:
        """Find the documents that are attached: the digests of their manifests by name."""
        attached: dict[str, str] = {}
        self.others.clear()
        for subject in dict.fromkeys(attachment.subject for attachment in self.job.documents):
            self.doing = f"reading what is attached to {subject}"
            command = ("artifact", "list", f"{self.name}@{subject}", "--format", "{{json .Descriptors}}")
            for descriptor in json.loads(self.client.run(*command).output) or ():
                kind = (subject, descriptor.get("artifactType", ""))
                for attachment in self.job.documents:
                    if attachment.name in attached or (attachment.subject, attachment.type) != kind:
                        continue
                    if self.holds(descriptor["digest"], attachment):
                        attached[attachment.name] = str(descriptor["digest"])
        return attached

    def holds(self, digest: str, attachment: Document) -> bool:
        """Return whether a manifest has a document, or an equivalent one."""
        manifest = self.manifest(digest)
        if manifest is None:
            return False
        theirs = manifest.get("annotations") or {}
        if any(theirs.get(key, value) != value for key, value in attachment.annotations.items()):
            return False
        self.others[attachment.name] += 1
        documents = [str(layer["digest"]) for layer in manifest.get("layers", ())]
        if not attachment.check:
            return digest_of(Path(attachment.file).read_bytes()) in documents
        return any(self.passes(document, attachment) for document in documents)

    def manifest(self, digest: str) -> dict[str, Any] | None:
        """Return a manifest; None if it was deleted, since a list may name it still."""
        if digest not in self.manifests:
            try:
                body = self.client.run("manifest", "get", f"{self.name}@{digest}", "--format", "raw-body").output
            except Failure as failure:
                if failure.kind is Kind.MISSING:
                    return None
                raise
            if digest_of(body) != digest:
                raise Failure(Kind.MISMATCH, f"it gives {digest_of(body)} for {digest}")
            self.manifests[digest] = json.loads(body)
        return self.manifests[digest]

    def passes(self, digest: str, attachment: Document) -> bool:
        """Return whether a document has signed the right content, if that is given, and passes the check."""
        if digest not in self.blobs:
            self.blobs[digest] = self.client.run("blob", "get", self.name, digest).output
        document = self.blobs[digest]
        if attachment.payload and signed_payload(document) != Path(attachment.payload).read_bytes():
            return False
        with tempfile.NamedTemporaryFile() as file:
            file.write(document)
            file.flush()
            command = [*attachment.check, file.name]
            try:
                ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=CHECK_TIMEOUT)
            except subprocess.TimeoutExpired:
                self.unfit[attachment.name] = f"looking at it took longer than {CHECK_TIMEOUT} s"
                return False
        if ended.returncode:
            errors = [line for line in ended.stderr.splitlines() if line.startswith("Error: ")]
            self.unfit[attachment.name] = errors[-1].removeprefix("Error: ") if errors else ""
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


def signed_payload(bundle: bytes) -> bytes | None:
    """Return what a Sigstore bundle has signed; None for another document. Whether the signature is valid, is open."""
    try:
        return base64.b64decode(json.loads(bundle)["dsseEnvelope"]["payload"], validate=True)
    except (ValueError, LookupError, TypeError):
        return None


def _row(name: str, digest: str) -> TagResult:
    """Return the result for a document that was there before."""
    return TagResult(tag=name, digest=digest, pushed=False, bytes=0, seconds=0.0, tries=0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Referrers))
