"""Statements about an image that are signed: the form of in-toto, in the bundles of Sigstore.

cosign finds the bundle of a statement by the image's digest and by the type of its predicate. A statement names digest
and predicate and no repository, so it is signed once and attached everywhere.
"""

import json
import re
from dataclasses import dataclass
from typing import Final

import dagger
from dagger import dag

from pipeline.attestations.provenance import STATEMENT_TYPE
from pipeline.attestations.signer import Signer
from pipeline.build.tool_container import with_scripts
from pipeline.registry.attachment import Attachment

BUNDLE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
#: Predicate of a signature, which says nothing else of the image.
SIGNATURE_TYPE: Final = "https://sigstore.dev/cosign/sign/v1"


@dataclass(frozen=True)
class SignedDocument:
    """A document about an image that has to be signed."""

    name: str
    """The name in reports."""

    predicate_type: str
    """The type of the document as a predicate."""

    subject: str
    """The image's digest."""

    @property
    def file_name(self) -> str:
        """Its name as a file, without an ending."""
        return re.sub(r"\W+", "-", self.name.lower()).strip("-")

    def head(self, image: str) -> dict[str, object]:
        """Return its statement without the predicate.

        Args:
            image: the image's name; without one, the statement has the digest alone.
        """
        algorithm, _, value = self.subject.partition(":")
        named = {"name": image} if image else {}
        return {
            "_type": STATEMENT_TYPE,
            "subject": [{**named, "digest": {algorithm: value}}],
            "predicateType": self.predicate_type,
        }

    def attachment(
        self, signer: Signer, bundle: dagger.File | None = None, statement: dagger.File | None = None
    ) -> Attachment:
        """Return its attachment; any bundle by the signer with the same statement is equivalent.

        Args:
            signer: who has to have signed it.
            bundle: the signed statement; None to search for one.
            statement: the statement; None for any of the type.
        """
        # Those that cosign itself gives, except the time of day.
        annotations = {
            "dev.sigstore.bundle.content": "dsse-envelope",
            "dev.sigstore.bundle.predicateType": self.predicate_type,
        }
        check = signer.check(self.predicate_type, self.subject)
        return Attachment(self.name, BUNDLE, self.subject, bundle, annotations, check, statement)


def write_signature(document: SignedDocument) -> dagger.File:
    """Return the statement that cosign itself signs as an image's signature."""
    return dag.file("statement.json", json.dumps({**document.head(""), "predicate": {}}))


def write_statement(document: SignedDocument, image: str, predicate: dagger.File, base: str) -> dagger.File:
    """Return the statement with a JSON document as its predicate, written where the document is: it may be large.

    Args:
        document: what is signed.
        image: the image's name.
        predicate: the JSON document.
        base: image with Python.
    """
    output = "/statement.json"
    return (
        dag.container()
        .from_(base)
        .with_(with_scripts("statement.py"))
        .with_mounted_file("/predicate.json", predicate)
        .with_exec(
            ["python", "-m", "pipeline.scripts.statement", json.dumps(document.head(image)), "/predicate.json", output]
        )
        .file(output)
    )
