"""Operations on a repository: the registry is a dictionary with regctl's commands."""

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest

from pipeline.scripts.answers import Failure
from pipeline.scripts.messages import Job, Kind, Origin, RepositoryReport
from pipeline.scripts.regctl import Answer, Client, Limits, Target
from pipeline.scripts.registry import Repository

IMAGE = b'{"an": "image"}'
OTHER = b'{"another": "image"}'
SIF = b'{"a": "SIF"}'
NAME = "ghcr.io/maniaclab/small"
CONFIGURATION = {
    "created": "2026-01-02T03:04:05Z",
    "config": {"Labels": {"org.opencontainers.image.revision": "f" * 40}},
}


def digest_of(manifest: bytes) -> str:
    """The digest of a manifest."""
    return f"sha256:{hashlib.sha256(manifest).hexdigest()}"


class FakeClient(Client):
    """A registry: tags and what they are. Whatever is in ``broken`` fails when it is asked."""

    def __init__(self, tags: dict[str, bytes], broken: dict[str, Failure] | None = None) -> None:
        super().__init__(Limits(1, 1, 1))
        self.tags = tags
        self.broken = broken or {}
        self.asked: list[str] = []
        #: The places that images were copied from.
        self.sources: list[str] = []
        self.configuration = json.dumps(CONFIGURATION)
        #: Tags that somebody else pushes, by what we do when they come.
        self.meanwhile: dict[str, str] = {}
        #: The answer to strangers; None where they get what everybody gets.
        self.outside: Failure | None = None
        self.strangers: list[str] = []

    def without_credentials(self) -> "FakeClient":
        """The same registry, as strangers see it."""
        stranger = FakeClient(self.tags, {"manifest head": self.outside} if self.outside else {})
        stranger.asked = self.strangers
        return stranger

    def run(self, *arguments: str, stdin: bytes = b"", target: Target | None = None) -> Answer:
        """Answer as regctl does."""
        del stdin
        words = " ".join(arguments[:2])
        self.asked.append(words)
        if words in self.broken:
            raise self.broken[words]
        tag = arguments[-1].rpartition(":")[2]
        match words:
            case "tag ls":
                output = "\n".join(self.tags)
            case "manifest head":
                output = digest_of(self._at(tag))
            case "manifest get":
                output = self._at(arguments[2].rpartition(":")[2]).decode()
            case "image inspect":
                output = self.configuration
            case "blob get":
                assert target is not None
                target.file.write(self.configuration.encode())
                output = ""
            case "image copy":
                self.tags[tag] = SIF if digest_of(SIF) in arguments[2] else IMAGE
                self.sources.append(arguments[2].partition("@")[0])
                output = ""
            case _:
                output = ""
        if words in self.meanwhile:
            self.tags[self.meanwhile.pop(words)] = OTHER
        return Answer(output.encode(), tries=1)

    def _at(self, tag: str) -> bytes:
        for manifest in self.tags.values():
            if digest_of(manifest) == f"sha256:{tag}":
                return manifest
        if tag not in self.tags:
            raise Failure(Kind.MISSING, "404")
        return self.tags[tag]


def run(client: FakeClient, action: str, **values: Any) -> RepositoryReport:  # noqa: ANN401  # keys of Job
    """Do a job."""
    job = Job(
        action=action,
        repository=NAME,
        host="ghcr.io",
        username="me",
        program="",
        timeout=1,
        tries=1,
        seconds=1,
        digest=digest_of(IMAGE),
        tags=["1.2.3"],
        floating=["latest"],
        writes=True,
    )
    return Repository(replace(job, **values), client).run("hunter2")


def test_ask_tells_tags_and_digests() -> None:
    """All tags, where those of the job are, and the commits of the images at latest and at the commit's own tag."""
    tags = {"1.2.2": OTHER, "1.2.3": OTHER, "sha-abc1234": OTHER, "latest": OTHER}
    report = run(FakeClient(tags), "ask", tags=["1.2.3", "sha-abc1234"])
    assert report.tags == sorted(tags)
    assert report.digests == dict.fromkeys(["1.2.3", "sha-abc1234", "latest"], digest_of(OTHER))
    assert report.origins == dict.fromkeys(["latest", "sha-abc1234"], Origin("f" * 40, "2026-01-02T03:04:05Z"))


def test_only_another_image_is_asked_for_its_commit() -> None:
    """A tag that is at the published image already needs no decision."""
    client = FakeClient({"1.2.3": IMAGE, "latest": IMAGE})
    assert run(client, "push").origins == {}
    assert "image inspect" not in client.asked


@pytest.mark.parametrize(
    ("configuration", "origin"),
    [
        ("not JSON", Origin("", "")),
        ("[]", Origin("", "")),
        ("{}", Origin("", "")),
        ('{"created": null, "config": null}', Origin("", "")),
        ('{"created": "then", "config": {"Labels": null}}', Origin("", "then")),
        ('{"config": {"Labels": {"org.opencontainers.image.revision": "main"}}}', Origin("main", "")),
    ],
)
def test_an_image_from_elsewhere_may_say_nothing_of_its_commit(configuration: str, origin: Origin) -> None:
    """It holds nothing up."""
    client = FakeClient({"latest": OTHER})
    client.configuration = configuration
    assert run(client, "ask").origins == {"latest": origin}


def test_a_registry_that_fails_does_not_pass_for_one_that_knows_nothing() -> None:
    """A configuration that cannot be read now decides later; one that may not be read at all decides nothing."""
    broken = {"image inspect": Failure(Kind.TRANSIENT, "503")}
    failure = run(FakeClient({"latest": OTHER}, broken), "ask").failure
    assert failure is not None
    assert failure.kind is Kind.TRANSIENT
    broken = {"image inspect": Failure(Kind.DENIED, "403")}
    assert run(FakeClient({"latest": OTHER}, broken), "ask").origins == {"latest": Origin("", "")}


def test_lists_of_attachments_are_no_tags() -> None:
    """They come and go with what is attached, and no decision about tags looks at them."""
    assert run(FakeClient({"1.2.2": OTHER, f"sha256-{'a' * 64}": OTHER}), "ask").tags == ["1.2.2"]


def test_ask_finds_out_whether_one_may_push_what_is_missing() -> None:
    """Two bytes that no tag names are the question; a dry run does not ask it, nor one that has nothing to push."""
    missing, there, dry = FakeClient({}), FakeClient({"1.2.3": IMAGE}), FakeClient({})
    assert run(missing, "ask").failure is None
    run(there, "ask")
    run(dry, "ask", writes=False)
    assert ["blob put" in client.asked for client in (missing, there, dry)] == [True, False, False]


def test_a_repository_that_is_not_there_has_no_tags() -> None:
    """The first push makes it."""
    client = FakeClient({}, {"tag ls": Failure(Kind.MISSING, "NAME_UNKNOWN")})
    assert run(client, "ask").tags == []


def test_a_repository_that_is_denied_may_be_one_that_is_not_there() -> None:
    """A client that may push creates it; one that may not, or only asks, gets the failure."""
    denied = {"tag ls": Failure(Kind.DENIED, "DENIED")}
    assert run(FakeClient({}, denied), "ask").failure is None
    for broken, writes in (({**denied, "blob put": Failure(Kind.DENIED, "DENIED")}, True), (denied, False)):
        failure = run(FakeClient({}, broken), "ask", writes=writes).failure
        assert failure is not None
        assert failure.kind == "denied"


def test_wrong_credentials_are_found_first() -> None:
    """Nothing else is asked after a login that failed; the report says what was being done."""
    client = FakeClient({}, {"registry login": Failure(Kind.DENIED, "unauthorized for hunter2")})
    failure = run(client, "ask").failure
    assert failure is not None
    assert (failure.doing, failure.kind, failure.reason) == ("logging in", "denied", "unauthorized for ***")
    assert client.asked == ["registry login"]


def test_an_image_is_required_by_its_digest() -> None:
    """Its tags may have moved; what is not there is a failure of its own kind."""
    assert run(FakeClient({"1.2.4": IMAGE}), "require").failure is None
    failure = run(FakeClient({"1.2.3": OTHER}), "require").failure
    assert failure is not None
    assert (failure.kind, failure.doing) == (Kind.MISSING, f"asking for {digest_of(IMAGE)}")


@pytest.mark.parametrize(
    ("manifest", "configuration", "number"),
    [
        ({"config": {"digest": "c"}}, '{"history": [{"comment": "pipeline.layers.v2"}]}', 2),
        ({"config": {"digest": "c"}}, '{"history": [{"comment": "pipeline.layers.v99"}]}', 99),
        ({"config": {"digest": "c"}}, "{}", 1),
        ({"config": {"digest": "c"}}, "no JSON", None),
        ({"config": {"digest": "c"}}, "[]", None),
        ({"config": []}, "{}", None),
        ({"manifests": []}, "{}", None),
        ({"manifests": [{"digest": digest_of(b'{"config": {"digest": "c"}}')}]}, "{}", 1),
    ],
)
def test_the_format_of_a_required_image_is_reported(
    manifest: dict[str, Any], configuration: str, number: int | None
) -> None:
    """An index says it by its first image; one that says nothing readable is there all the same."""
    data = json.dumps(manifest).encode()
    client = FakeClient({"1.2.3": data, "other": b'{"config": {"digest": "c"}}'})
    client.configuration = configuration
    report = run(client, "require", digest=digest_of(data))
    assert (report.failure, report.layer_format) == (None, number)
    for broken in ("blob get", "manifest get"):
        client.broken = {broken: Failure(Kind.TRANSIENT, "503")}
        report = run(client, "require", digest=digest_of(data))
        assert (report.failure, report.layer_format) == (None, None)


def test_push_puts_what_is_missing_and_reads_it_back() -> None:
    """A tag that is there is read and not pushed."""
    client = FakeClient({"1.2.3": IMAGE})
    report = run(client, "push", tags=["1.2.3", "sha-abc1234"])
    assert [(row.tag, row.pushed) for row in report.rows] == [("1.2.3", False), ("sha-abc1234", True)]
    assert client.asked.count("manifest get") == 2
    assert client.asked.count("image copy") == 1


def test_push_never_takes_a_tag_from_another_image() -> None:
    """An immutable tag that is another image is a failure, and stays."""
    client = FakeClient({"1.2.3": OTHER})
    failure = run(client, "push").failure
    assert failure is not None
    assert failure.kind == "mismatch"
    assert client.tags["1.2.3"] == OTHER


def test_what_is_read_back_has_to_be_what_was_built() -> None:
    """A registry that says the right digest and gives other bytes is found out."""

    class Lying(FakeClient):
        def _at(self, tag: str) -> bytes:
            return super()._at(tag) + (b" " if self.asked[-1] == "manifest get" else b"")

    failure = run(Lying({}), "push").failure
    assert failure is not None
    assert (failure.doing, failure.kind) == ("reading 1.2.3 back", "mismatch")


def test_an_image_and_its_sif_are_pushed_under_their_tags() -> None:
    """Each from its own layout once, then within the repository; nothing is decided about tags of SIFs."""
    client = FakeClient({"latest-sif": OTHER, "sha-abc1234-sif": SIF})
    tags = ["1.2.3", "sha-abc1234", "1.2.3-sif", "sha-abc1234-sif", "1-sif"]
    report = run(client, "push", tags=tags, floating=["latest", "latest-sif"], sif=digest_of(SIF))
    assert [(row.tag, row.pushed) for row in report.rows] == [(tag, tag != "sha-abc1234-sif") for tag in tags]
    assert client.sources == ["ocidir:///layout", NAME, "ocidir:///sif-layout", NAME]
    wanted = {tag: SIF if tag.endswith("-sif") else IMAGE for tag in tags}
    assert client.tags == {**wanted, "latest-sif": OTHER}
    assert report.origins == {}


def test_push_never_takes_a_tag_from_another_sif() -> None:
    """The image is there then, under its own tags, and the failure names the tag."""
    client = FakeClient({"1.2.3-sif": OTHER})
    failure = run(client, "push", tags=["1.2.3", "1.2.3-sif"], sif=digest_of(SIF)).failure
    assert failure is not None
    assert failure.reason == (f"1.2.3-sif is there already with {digest_of(OTHER)}, and {digest_of(SIF)} was built")
    assert client.tags == {"1.2.3": IMAGE, "1.2.3-sif": OTHER}


def test_move_puts_a_sif_at_its_own_tags() -> None:
    """One job moves the tags of both."""
    client = FakeClient({"1.2.3": IMAGE, "1.2.3-sif": SIF, "latest": OTHER, "latest-sif": OTHER})
    moved = ["latest", "latest-sif"]
    standing = dict.fromkeys(moved, digest_of(OTHER))
    report = run(client, "move", tags=moved, known=list(client.tags), standing=standing, sif=digest_of(SIF))
    assert report.changed is False
    assert (client.tags["latest"], client.tags["latest-sif"]) == (IMAGE, SIF)


def test_move_puts_tags_over_others() -> None:
    """A floating tag is taken from the image that had it."""
    client = FakeClient({"1.2.3": IMAGE, "latest": OTHER})
    standing = {"latest": digest_of(OTHER)}
    report = run(client, "move", tags=["latest"], known=["1.2.3", "latest"], standing=standing)
    assert (report.changed, client.tags["latest"]) == (False, IMAGE)


def test_move_leaves_tags_alone_when_others_have_come() -> None:
    """The decision did not know them, so it has to be made again."""
    client = FakeClient({"1.2.3": IMAGE, "1.2.4": OTHER, "latest": OTHER})
    report = run(client, "move", tags=["latest"], known=["1.2.3", "latest"])
    assert (report.changed, list(report.rows), client.tags["latest"]) == (True, [], OTHER)
    # It is made from the tags and the commit that are there now.
    assert "1.2.4" in report.tags
    assert report.origins["latest"].revision == "f" * 40


@pytest.mark.parametrize(("there", "moves"), [(OTHER, True), (IMAGE, True), (b"a third", False)])
def test_move_leaves_a_tag_alone_that_another_run_has_moved(there: bytes, *, moves: bool) -> None:
    """The decision was made about another image; what another run has moved to this one is in its place."""
    client = FakeClient({"1.2.3": IMAGE, "latest": there})
    standing = {"latest": digest_of(OTHER)}
    report = run(client, "move", tags=["latest"], known=["1.2.3", "latest"], standing=standing)
    assert report.changed is not moves
    assert client.tags["latest"] == (IMAGE if moves else there)


def test_move_tells_of_tags_that_came_while_it_moved() -> None:
    """Then the decision is looked at again."""
    client = FakeClient({"1.2.3": IMAGE})
    client.meanwhile["image copy"] = "1.2.4"
    report = run(client, "move", tags=["latest"], known=["1.2.3"])
    assert (report.changed, len(report.rows)) == (True, 1)


@pytest.mark.parametrize("action", ["push", "ask"])
@pytest.mark.parametrize(
    ("failure", "private"),
    [
        (None, ""),
        # ghcr.io gives strangers no token for a private package; Docker Hub and Harbor give one that opens nothing.
        (Failure(Kind.DENIED, "it answered 401 (Unauthorized) to GET /token"), "it answered 401 (Unauthorized)"),
        (Failure(Kind.DENIED, "it answered 403 (Forbidden) to HEAD /v2/"), "it answered 403 (Forbidden)"),
        (Failure(Kind.MISSING, "it answered 404 (Not Found) to HEAD /v2/"), "it answered 404 (Not Found)"),
        (Failure(Kind.TRANSIENT, "it answered 429 (Too Many Requests)"), ""),
        (Failure(Kind.REJECTED, "it answered 400 (Bad Request)"), ""),
    ],
)
def test_whether_strangers_may_pull_is_asked_once(action: str, failure: Failure | None, private: str) -> None:
    """One question without credentials after a push, or in a dry run; it never fails the job."""
    client = FakeClient({"1.2.3": IMAGE, "latest": IMAGE})
    client.outside = failure
    report = run(client, action, writes=False)
    assert report.failure is None
    assert client.strangers == ["manifest head"]
    assert report.private.startswith(private)
    assert bool(report.private) is bool(private)


def test_strangers_are_not_asked_for() -> None:
    """Not where nothing is published, not before a push, not where nobody has logged in, and not by a move."""
    nothing, later, stranger, moved = (FakeClient({"1.2.3": IMAGE} if number else {}) for number in range(4))
    run(nothing, "ask", writes=False)
    run(later, "ask")
    run(stranger, "push", username="")
    run(moved, "move", tags=["latest"], known=["1.2.3"])
    assert [client.strangers for client in (nothing, later, stranger, moved)] == [[]] * 4


@pytest.mark.parametrize("broken", ["manifest head", "image copy", "manifest get"])
def test_a_failure_names_the_tag(broken: str) -> None:
    """The report has the failure with its tag and operation."""
    failure = run(FakeClient({}, {broken: Failure(Kind.TRANSIENT, "503", tries=4)}), "push").failure
    assert failure is not None
    assert (failure.tag, failure.kind, failure.tries) == ("1.2.3", "transient", 4)
    assert "1.2.3" in failure.doing
