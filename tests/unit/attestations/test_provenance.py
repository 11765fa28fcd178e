"""Provenance of an image, read by in-toto's own library."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf.json_format import Parse
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement

from pipeline.attestations.provenance import (
    BY_HAND,
    Resource,
    describe,
    describe_sif,
    of_commit,
    of_download,
    of_file,
    of_image,
)
from pipeline.git.commit import Commit

DIGEST = "1" * 64
SHA = "0123456789abcdef0123456789abcdef01234567"
COMMIT = Commit(SHA, datetime(2026, 2, 1, tzinfo=UTC), ())
DEBIAN = f"docker.io/library/debian:bookworm-slim@sha256:{'2' * 64}"
SOURCE = "https://github.com/maniaclab/images"
MADE_FROM = [of_commit(COMMIT, SOURCE), of_file("small/pixi.lock", "3" * 64), of_image(DEBIAN)]


def test_it_is_a_statement_of_in_toto_with_slsa_s_predicate() -> None:
    """in-toto's library takes it, and knows each field of the predicate."""
    text = describe("small", f"sha256:{DIGEST}", MADE_FROM, BY_HAND)
    statement = Parse(text, statement_pb2.Statement())
    Statement.copy_from_pb(statement).validate()
    assert [(subject.name, dict(subject.digest)) for subject in statement.subject] == [("small", {"sha256": DIGEST})]
    assert statement.predicate_type == "https://slsa.dev/provenance/v1"
    found = Parse(json.dumps(json.loads(text)["predicate"]), provenance_pb2.Provenance())
    assert found.run_details.builder.id == BY_HAND
    assert dict(found.build_definition.external_parameters) == {"image": "small"}
    assert [dict(part.digest) for part in found.build_definition.resolved_dependencies] == [
        {"gitCommit": SHA},
        {"sha256": "3" * 64},
        {"sha256": "2" * 64},
    ]


def test_that_of_a_sif_names_its_image() -> None:
    """The image is the first of what it is made from, so a reader finds what is known of that."""
    text = describe_sif("small", f"sha256:{DIGEST}", f"sha256:{'4' * 64}", MADE_FROM, BY_HAND)
    statement = Parse(text, statement_pb2.Statement())
    Statement.copy_from_pb(statement).validate()
    assert [(each.name, dict(each.digest)) for each in statement.subject] == [("small.sif", {"sha256": DIGEST})]
    found = Parse(json.dumps(json.loads(text)["predicate"]), provenance_pb2.Provenance()).build_definition
    assert dict(found.external_parameters) == {"image": "small", "format": "sif"}
    first = found.resolved_dependencies[0]
    assert (first.name, dict(first.digest), len(found.resolved_dependencies)) == ("small", {"sha256": "4" * 64}, 4)


def test_it_has_no_time_and_no_run() -> None:
    """The same facts are the same bytes; nothing in them is of the moment or of the tag."""
    text, again = (describe("small", f"sha256:{DIGEST}", MADE_FROM, "https://example.org/builder") for _ in range(2))
    assert text == again
    predicate: dict[str, Any] = json.loads(text)["predicate"]
    assert predicate["runDetails"] == {"builder": {"id": "https://example.org/builder"}}
    assert predicate["buildDefinition"].keys() == {"buildType", "externalParameters", "resolvedDependencies"}


def test_files_that_differ_from_the_commit_are_named() -> None:
    """Whoever reads it must not take the commit for all that the image was made from."""
    changed = of_commit(Commit(SHA, COMMIT.time, ("small/pixi.lock",)), "")
    assert changed == Resource(
        name="source", digest={"gitCommit": SHA}, annotations={"changed": ["small/pixi.lock"]}
    )  # fmt: skip
    text = describe("small", f"sha256:{DIGEST}", [changed], BY_HAND)
    Statement.copy_from_pb(Parse(text, statement_pb2.Statement())).validate()


@pytest.mark.parametrize(
    ("reference", "uri"),
    [
        (DEBIAN, "debian@sha256%3A2222?repository_url=docker.io/library/debian&tag=bookworm-slim"),
        (f"ghcr.io/a/b@sha256:{'2' * 64}", "b@sha256%3A2222?repository_url=ghcr.io/a/b"),
        (f"localhost:5000/b:1@sha256:{'2' * 64}", "b@sha256%3A2222?repository_url=localhost:5000/b&tag=1"),
    ],
)
def test_a_base_image_is_a_package_url(reference: str, uri: str) -> None:
    """It names image, digest, repository and tag; a port is no tag."""
    found = of_image(reference)
    assert found.uri == f"pkg:oci/{uri.replace('2222', '2' * 64)}"
    assert found.digest == {"sha256": "2" * 64}


def test_a_downloaded_file_is_its_address_and_its_hash() -> None:
    """A password is not in it, since everybody can read it."""
    found = of_download("https://me:secret@example.org:8443/a.tar?b=c", "4" * 64)
    assert found == Resource(uri="https://example.org:8443/a.tar?b=c", digest={"sha256": "4" * 64})
