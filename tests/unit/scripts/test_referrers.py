"""Documents attached to an image: the registry is a dictionary with regctl's commands."""

import base64
import itertools
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.scripts.answers import Failure, Request
from pipeline.scripts.messages import Document, Job, Kind, RepositoryReport
from pipeline.scripts.referrers import Referrers, digest_of
from pipeline.scripts.regctl import Answer, Client, Limits, Target

IMAGE = f"sha256:{'1' * 64}"
NAME = "ghcr.io/maniaclab/small"
SBOM = "application/vnd.cyclonedx+json"


class FakeClient(Client):
    """A registry that lists what is attached to an image."""

    def __init__(self) -> None:
        super().__init__(Limits(1, 1, 1))
        self.manifests: dict[str, bytes] = {}
        self.blobs: dict[str, bytes] = {}
        self.listed: list[dict[str, str]] = []
        self.put: list[str] = []
        self.asked: list[str] = []
        #: Number of lists that another client overwrites, without the last entry.
        self.lost = 0
        self.refuses = ""

    def run(self, *arguments: str, stdin: bytes = b"", target: Target | None = None) -> Answer:
        """Answer as regctl does."""
        del stdin, target
        match arguments[:2]:
            case ("artifact", "list"):
                assert arguments[2] == f"{NAME}@{IMAGE}"
                return Answer(json.dumps(self.listed).encode())
            case ("manifest", "get"):
                self.asked.append(arguments[2])
                digest = arguments[2].partition("@")[2]
                if digest not in self.manifests:
                    raise Failure(Kind.MISSING, "404")
                return Answer(self.manifests[digest])
            case ("blob", "get"):
                self.asked.append(arguments[3])
                return Answer(self.blobs[arguments[3]])
            case ("artifact", "put"):
                return self._put(arguments)
            case _:
                return Answer(b"")

    def attach(
        self,
        media_type: str,
        data: bytes,
        *,
        manifest: bytes | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> str:
        """Have something that is attached."""
        content = {"type": media_type, "layers": [{"digest": digest_of(data)}], "annotations": annotations or {}}
        made = json.dumps(content).encode()
        digest = digest_of(made)
        self.manifests[digest] = manifest or made
        self.blobs[digest_of(data)] = data
        self.listed.append({"digest": digest, "artifactType": media_type})
        return digest

    def _put(self, arguments: tuple[str, ...]) -> Answer:
        options = dict(itertools.pairwise(arguments))
        if options["--artifact-type"] == self.refuses:
            raise Failure(Kind.DENIED, "403")
        assert options["--subject"] == f"{NAME}@{IMAGE}"
        self.put.append(" ".join(word for word in arguments if word.startswith("--annotation")))
        data = Path(options["--file"]).read_bytes()
        digest = self.attach(options["--artifact-type"], data)
        if self.lost:
            self.lost -= 1
            self.listed.pop()
        uploaded = Request("PUT", f"https://ghcr.io/v2/x/blobs/uploads/1?digest={digest_of(data)}", 201)
        return Answer(digest.encode(), [uploaded], tries=2, seconds=1.0)


@pytest.fixture
def client() -> FakeClient:
    """A registry to which nothing is attached yet."""
    return FakeClient()


@pytest.fixture
def wanted(tmp_path: Path) -> list[Document]:
    """Two documents."""
    found = []
    for name, media_type in (("SBOM", SBOM), ("provenance", "application/vnd.in-toto+json")):
        file = tmp_path / f"{name}.json"
        file.write_text(f"the {name}")
        annotations = {"kind": "slsa"} if name == "provenance" else {}
        found.append(
            Document(name=name, subject=IMAGE, type=media_type, annotations=annotations, file=str(file), check=[])
        )
    return found


def run(client: FakeClient, wanted: list[Document], action: str = "attach") -> RepositoryReport:
    """Attach, or find."""
    job = Job(
        action=action, repository=NAME, host="ghcr.io", username="me", program="", timeout=1, tries=1, seconds=1,
        documents=wanted,
    )  # fmt: skip
    return Referrers(job, client).run("hunter2")


def test_what_is_not_there_is_attached_and_found(client: FakeClient, wanted: list[Document]) -> None:
    """The report has the digest of each manifest, what was sent, and how often it was tried."""
    report = run(client, wanted)
    assert report.failure is None
    assert [(row.tag, row.digest, row.pushed, row.bytes, row.tries) for row in report.rows] == [
        ("SBOM", client.listed[0]["digest"], True, 8, 2),
        ("provenance", client.listed[1]["digest"], True, 14, 2),
    ]
    assert client.put == ["", "--annotation=kind=slsa"]


def test_what_is_there_is_not_attached_again(client: FakeClient, wanted: list[Document]) -> None:
    """Whoever attached it; only the document and its type count."""
    run(client, wanted)
    client.put.clear()
    report = run(client, wanted)
    assert client.put == []
    assert [(row.tag, row.pushed, row.tries) for row in report.rows] == [
        ("SBOM", False, 0),
        ("provenance", False, 0),
    ]


def test_another_document_of_the_type_is_not_this_one(client: FakeClient, wanted: list[Document]) -> None:
    """Nor is the same document of another type, nor one whose manifest was deleted and that is listed still."""
    client.attach(SBOM, b"of somebody else")
    client.attach("text/plain", b"the SBOM")
    del client.manifests[client.attach(SBOM, b"the SBOM")]
    report = run(client, wanted[:1])
    assert [(row.tag, row.pushed) for row in report.rows] == [("SBOM", True)]


def test_a_list_that_another_run_wrote_over_is_written_again(client: FakeClient, wanted: list[Document]) -> None:
    """Two runs with one list: what the other one took out is put back."""
    client.lost = 1
    report = run(client, wanted)
    assert (report.failure, len(client.put), len(client.listed)) == (None, 3, 2)


def test_what_is_never_listed_is_a_failure(client: FakeClient, wanted: list[Document]) -> None:
    """It is not reported as attached."""
    client.lost = 99
    report = run(client, wanted)
    assert report.failure is not None
    assert (report.failure.kind, report.rows) == ("mismatch", [])


def test_a_refusal_ends_it_and_tells_what_was_attached(client: FakeClient, wanted: list[Document]) -> None:
    """The report says which document it was."""
    client.refuses = wanted[1].type
    report = run(client, wanted)
    assert report.failure is not None
    assert (report.failure.doing, report.failure.kind) == ("attaching provenance", "denied")
    assert [row.tag for row in report.rows] == ["SBOM"]


def test_a_manifest_that_is_not_what_is_listed_is_a_failure(client: FakeClient, wanted: list[Document]) -> None:
    """A registry that gives other bytes than it lists is found out."""
    client.attach(SBOM, b"the SBOM", manifest=b'{"layers": []}')
    failure = run(client, wanted).failure
    assert failure is not None
    assert failure.kind == "mismatch"


def test_a_document_that_passes_the_check_is_as_good(client: FakeClient, wanted: list[Document]) -> None:
    """No two signatures have the same bytes: one that fits is enough, and one that does not is passed over."""
    document = replace(wanted[0], check=["grep", "--quiet", "by the same signer"])
    client.attach(SBOM, b"by another signer")
    there = client.attach(SBOM, b"made previous by the same signer")
    report = run(client, [document])
    assert [(row.digest, row.pushed) for row in report.rows] == [(there, False)]


def test_a_document_that_does_not_pass_is_no_substitute(client: FakeClient, wanted: list[Document]) -> None:
    """The right document is attached beside it, if it passes itself."""
    document = replace(wanted[0], check=["grep", "--quiet", "the SBOM"])
    client.attach(SBOM, b"by another signer")
    report = run(client, [document])
    assert report.failure is None
    assert [row.pushed for row in report.rows] == [True]


def test_what_has_to_be_there_is_found_or_a_failure(client: FakeClient, wanted: list[Document]) -> None:
    """To find attaches nothing; the failure says whether there is nothing of the kind, or nothing that fits."""
    document = replace(wanted[0], check=["grep", "--quiet", "by the same signer"], file="")
    none = run(client, [document], "find").failure
    client.attach(SBOM, b"by another signer")
    other = run(client, [document], "find").failure
    assert none is not None
    assert other is not None
    assert (none.kind, none.reason) == ("missing", "there is no SBOM")
    assert other.reason == "there is no SBOM that fits, of 1"
    client.attach(SBOM, b"by the same signer")
    assert run(client, [document], "find").failure is None
    assert client.put == []


def why_nothing_fits(client: FakeClient, document: Document, check: str) -> str:
    """The reason reported when a shell command checks the one document that is there, and rejects it."""
    document = replace(document, check=["sh", "-c", check], file="")
    client.attach(SBOM, b"by another signer")
    failure = run(client, [document], "find").failure
    assert failure is not None
    return failure.reason


def test_why_nothing_fits_is_told_in_the_check_s_own_words(client: FakeClient, wanted: list[Document]) -> None:
    """Of what cosign prints, its error: who signed instead, or which service it cannot reach."""
    check = "echo 'WARNING: no' >&2; echo 'Error: another one' >&2; exit 1"
    assert why_nothing_fits(client, wanted[0], check) == "there is no SBOM that fits, of 1: another one"


def test_a_check_that_hangs_is_ended(
    client: FakeClient, wanted: list[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    """cosign waits for services that say nothing."""
    monkeypatch.setattr("pipeline.scripts.referrers.CHECK_TIMEOUT", 0.1)
    reason = "there is no SBOM that fits, of 1: looking at it took longer than 0.1 s"
    assert why_nothing_fits(client, wanted[0], "exec sleep 5") == reason


def bundle(payload: str, signer: str = "me") -> bytes:
    """A Sigstore bundle whose signature is a name."""
    envelope = {"payload": base64.b64encode(payload.encode()).decode(), "signatures": [{"sig": signer}]}
    return json.dumps({"dsseEnvelope": envelope}).encode()


@pytest.fixture
def signed(tmp_path: Path) -> list[Document]:
    """A signed SBOM and a signature, of one media type, each with its predicate in an annotation."""
    found = []
    for name in ("signed SBOM", "signature"):
        payload, file = tmp_path / f"{name}.statement", tmp_path / f"{name}.bundle"
        payload.write_text(name)
        file.write_bytes(bundle(name))
        found.append(
            Document(
                name=name, subject=IMAGE, type="bundle", annotations={"predicate": name}, file=str(file),
                check=["grep", "--quiet", '"sig": "me"'], payload=str(payload),
            )
        )  # fmt: skip
    return found


def test_what_is_signed_is_attached_once(client: FakeClient, signed: list[Document]) -> None:
    """No two signatures of a statement have the same bytes: one that is there and valid is enough."""
    for document in signed:
        client.attach("bundle", bundle(document.name) + b" ", annotations=document.annotations)
    assert [row.pushed for row in run(client, signed).rows] == [False, False]
    assert client.put == []
    assert [row.pushed for row in run(client, signed, "find").rows] == [False, False]


@pytest.mark.parametrize(
    "other", [bundle("signed SBOM", "somebody"), bundle("of the previous commit"), b"no bundle", b"[]"]
)
def test_another_statement_or_signer_is_no_substitute(client: FakeClient, signed: list[Document], other: bytes) -> None:
    """The right one is attached beside it, and found by the next run."""
    client.attach("bundle", other, annotations=signed[0].annotations)
    assert [row.pushed for row in run(client, signed).rows] == [True, True]
    assert [row.pushed for row in run(client, signed).rows] == [False, False]


def test_what_has_to_be_signed_is_any_statement_of_the_signer(client: FakeClient, signed: list[Document]) -> None:
    """To verify an image, nobody needs its statement; those of another predicate are not counted."""
    wanted = [replace(document, file="", payload="") for document in signed]
    client.attach("bundle", bundle("made by another version"), annotations=signed[0].annotations)
    client.attach("bundle", bundle("signature", "somebody"), annotations=signed[1].annotations)
    failure = run(client, wanted, "find").failure
    assert failure is not None
    assert failure.reason == "there is no signature that fits, of 1"
    assert run(client, wanted[:1], "find").failure is None


def test_each_manifest_and_blob_is_read_once(client: FakeClient, signed: list[Document]) -> None:
    """However many documents are looked for among them."""
    for signer in ("you", "he", "she"):
        client.attach("bundle", bundle("signature", signer))
    read = len(run(client, [*signed, replace(signed[0], name="more")], "find").rows)
    assert read == 0
    assert max(Counter(client.asked).values()) == 1
