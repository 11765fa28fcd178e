"""Statements that are signed, read by in-toto's own library."""

import json
from pathlib import Path
from unittest.mock import Mock

import dagger
from google.protobuf.json_format import Parse
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement

from pipeline.attestations.signer import Signer
from pipeline.attestations.statements import SIGNATURE_TYPE, SignedDocument
from pipeline.scripts.statement import main

DIGEST = f"sha256:{'1' * 64}"
SBOM = SignedDocument("signed SBOM (SPDX) of linux/amd64", "https://spdx.dev/Document", DIGEST)


def test_a_signature_names_the_digest_and_nothing_else() -> None:
    """It is in-toto's, and good in every registry."""
    head = SignedDocument("signature", SIGNATURE_TYPE, DIGEST).head("")
    found = Parse(json.dumps({**head, "predicate": {}}), statement_pb2.Statement())
    assert [(subject.name, dict(subject.digest)) for subject in found.subject] == [("", {"sha256": "1" * 64})]
    assert found.predicate_type == "https://sigstore.dev/cosign/sign/v1"


def test_a_document_becomes_the_predicate_of_a_statement(tmp_path: Path) -> None:
    """The same document gives the same bytes, whatever its line breaks."""
    document, statement, other = (tmp_path / name for name in ("document", "statement", "other"))
    document.write_text('{"spdxVersion": "SPDX-2.3",\n "name": "\N{SNOWMAN}"}\n', encoding="utf-8")
    main(json.dumps(SBOM.head("small")), str(document), str(statement))
    document.write_text(json.dumps(json.loads(document.read_text("utf-8"))))
    main(json.dumps(SBOM.head("small")), str(document), str(other))
    assert statement.read_bytes() == other.read_bytes()
    found = Parse(statement.read_text(), statement_pb2.Statement())
    Statement.copy_from_pb(found).validate()
    assert [(subject.name, dict(subject.digest)) for subject in found.subject] == [("small", {"sha256": "1" * 64})]
    assert found.predicate_type == "https://spdx.dev/Document"
    assert dict(found.predicate) == {"spdxVersion": "SPDX-2.3", "name": "\N{SNOWMAN}"}


def test_a_bundle_is_attached_as_cosign_attaches_it() -> None:
    """By its media type, and by the type of the predicate in an annotation; any by the signer is as good."""
    signer = Signer(Mock(spec=dagger.File))
    bundle, statement = Mock(spec=dagger.File), Mock(spec=dagger.File)
    made = SBOM.attachment(signer, bundle, statement)
    assert (made.type, made.subject) == ("application/vnd.dev.sigstore.bundle.v0.3+json", DIGEST)
    assert made.annotations == {
        "dev.sigstore.bundle.content": "dsse-envelope",
        "dev.sigstore.bundle.predicateType": "https://spdx.dev/Document",
    }
    assert made.check == signer.check("https://spdx.dev/Document", DIGEST)
    assert (made.file, made.payload) == (bundle, statement)
    assert SBOM.attachment(signer).file is None
    assert SBOM.file_name == "signed-sbom-spdx-of-linux-amd64"
