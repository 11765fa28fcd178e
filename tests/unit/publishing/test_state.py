"""Decisions for each tag from the registries' reports."""

from dataclasses import replace
from datetime import UTC, datetime
from unittest.mock import Mock

import pytest

from pipeline.credentials.registry_auth import Login
from pipeline.git.ancestry import Order
from pipeline.publishing.state import Publication, RepositoryState
from pipeline.publishing.tag_policy import Tags, plan, with_sif
from pipeline.registry.artifact import Artifact
from pipeline.registry.client import Destination
from pipeline.scripts.messages import Kind, Origin, RegistryFailure, RepositoryReport, TagResult

BUILT = "sha256:built"
OTHER = "sha256:other"
FILE = "sha256:file"
IMAGE = Artifact(Mock(), BUILT, (BUILT,))
SIF = Artifact(Mock(), "sha256:sif", ("sha256:sif",), (FILE,))
TAGS = plan("v2026.2.0", "0123456789")
FIXED = ("2026.2.0", "sha-0123456")


def place(registry: str = "ghcr.io", **digests: str) -> RepositoryState:
    """A repository that has been asked; keys with '_' for '.'."""
    found = {tag.replace("_", "."): digest for tag, digest in digests.items()}
    made = RepositoryState(Destination(f"{registry}/lab/small", Login("me")))
    made.take(RepositoryReport(tags=tuple(found), digests=found))
    return made


def push(to: RepositoryState, digest: str = BUILT) -> None:
    """Add the report of a push of all immutable tags."""
    rows = tuple(TagResult(tag=tag, digest=digest, pushed=True, bytes=5, seconds=1, tries=1) for tag in FIXED)
    tags = (*to.report.tags, *FIXED)
    to.take(RepositoryReport(tags=tags, digests=dict.fromkeys(FIXED, digest), rows=rows))


def fail(to: RepositoryState) -> None:
    """Add the report of a push that failed."""
    failure = RegistryFailure(
        doing="pushing 2026.2.0", tag="2026.2.0", kind=Kind.TRANSIENT, reason="503", tries=3, seconds=9
    )
    to.take(RepositoryReport(failure=failure))


def attach(to: RepositoryState, *names: str) -> None:
    """Add the report of attached documents."""
    rows = tuple(TagResult(tag=name, digest=OTHER, pushed=True, bytes=5, seconds=1, tries=1) for name in names)
    to.take_attached(RepositoryReport(rows=rows))


def publication(*places: RepositoryState, documents: tuple[str, ...] = ()) -> Publication:
    """An image on its way to its places."""
    return Publication("small", TAGS, list(places), documents=documents, artifact=IMAGE)


def results(found: Publication) -> dict[str, str]:
    """The result of each tag."""
    return {f"{row.repository.partition('/')[0]} {row.tag}": row.result for row in found.rows()}


def dry(found: Publication) -> Publication:
    """The same where nothing was built."""
    return replace(found, artifact=None)


def test_a_dry_run_tells_what_would_be_done() -> None:
    """Immutable tags that are there stay; the others would be pushed, and the floating ones moved."""
    found = publication(place(**{"2026_2_0": BUILT, "latest": OTHER}))
    assert results(dry(found)) == {
        "ghcr.io 2026.2.0": "already there",
        "ghcr.io sha-0123456": "to push",
        "ghcr.io 2026.2": "to push",
        "ghcr.io latest": "to push",
    }


def test_tags_move_when_all_agree() -> None:
    """After all immutable tags are pushed, those floating tags are to be moved that are elsewhere."""
    one, two = place("ghcr.io", latest=OTHER), place("docker.io", latest=BUILT)
    found = publication(one, two)
    push(one)
    push(two)
    assert (found.to_move(one), found.to_move(two)) == (["2026.2", "latest"], ["2026.2"])


def test_no_tag_moves_while_one_registry_lacks_the_image() -> None:
    """The others have the immutable tags; missing ones are reported with their reason."""
    one, two = place("ghcr.io", latest=OTHER), place("docker.io", latest=OTHER)
    found = publication(one, two)
    push(one)
    fail(two)
    assert found.to_move(one) == []
    assert results(found) == {
        "ghcr.io 2026.2.0": "pushed",
        "ghcr.io sha-0123456": "pushed",
        "ghcr.io 2026.2": "not moved",
        "ghcr.io latest": "not moved",
        "docker.io 2026.2.0": "missing",
        "docker.io sha-0123456": "missing",
        "docker.io 2026.2": "not moved",
        "docker.io latest": "not moved",
    }
    reasons = {row.repository: row.reason for row in found.rows() if row.tag == "latest"}
    assert reasons["ghcr.io/lab/small"] == (
        "latest stays where it is until all registries agree: docker.io/lab/small failed"
    )
    assert reasons["docker.io/lab/small"] == "pushing 2026.2.0 failed (3 tries in 9 s): 503"
    standing = {row.repository: row.digest for row in found.rows() if row.tag == "latest"}
    assert set(standing.values()) == {OTHER}


def test_attachments_are_told_beside_the_tags() -> None:
    """A dry run reports that they would be attached; afterwards they have rows of their own kind beside the tags."""
    one = place()
    found = publication(one, documents=("SBOM",))
    assert results(dry(found))["ghcr.io SBOM"] == "to attach"
    push(one)
    attach(one, "SBOM")
    assert results(found)["ghcr.io SBOM"] == "pushed"
    assert one.report.digests == dict.fromkeys(FIXED, BUILT)
    assert [row.tag for row in found.rows() if row.kind == "attachment"] == ["SBOM"]


def test_no_tag_moves_while_one_registry_lacks_an_attachment() -> None:
    """The image is there under its immutable tags, and what is not attached to it is missing."""
    one, two = place("ghcr.io"), place("docker.io")
    found = publication(one, two, documents=("SBOM", "provenance"))
    for to in (one, two):
        push(to)
    attach(one, "SBOM", "provenance")
    failed = RegistryFailure(
        doing="attaching provenance", tag="provenance", kind=Kind.DENIED, reason="403", tries=1, seconds=1
    )
    row = TagResult(tag="SBOM", digest=OTHER, pushed=True, bytes=5, seconds=1, tries=1)
    two.take_attached(RepositoryReport(rows=(row,), failure=failed))
    assert (found.to_move(one), found.to_move(two)) == ([], [])
    attached = results(found)
    assert [attached[f"docker.io {name}"] for name in (*FIXED, "SBOM", "provenance", "latest")] == [
        "pushed",
        "pushed",
        "pushed",
        "missing",
        "not moved",
    ]
    reasons = {row.tag: row.reason for row in found.rows() if row.repository == "docker.io/lab/small"}
    assert reasons["provenance"] == "attaching provenance failed: 403"


def test_a_registry_that_comes_back_is_whole_again() -> None:
    """A failure to read the tags does not count if the push succeeded."""
    one = place()
    found = publication(one)
    fail(one)
    push(one)
    assert (one.failure, found.to_move(one)) == ("", ["2026.2", "latest"])


def test_an_older_release_moves_nothing() -> None:
    """A newer release in any of the repositories holds the tags in all of them, and that is complete."""
    one, two = place("ghcr.io", latest=OTHER), place("docker.io", **{"2026_3_0": OTHER, "2026_2_1": OTHER})
    found = publication(one, two)
    push(one)
    push(two)
    assert (found.to_move(one), found.to_move(two)) == ([], [])
    assert {row.result for row in found.rows() if row.tag == "latest"} == {"left"}


def test_a_failed_move_is_told_where_it_failed() -> None:
    """Tags that were moved elsewhere, or were there before, are reported as they are."""
    one, two, three = place("ghcr.io"), place("docker.io", latest=OTHER), place("hub.org", latest=BUILT)
    found = publication(one, two, three)
    for to in (one, two, three):
        push(to)
    moved = TagResult(tag="latest", digest=BUILT, pushed=True, bytes=0, seconds=1, tries=1)
    one.take(RepositoryReport(tags=("latest", *FIXED), digests={"latest": BUILT}, rows=(moved,)))
    fail(two)
    found_results = results(found)
    assert [found_results[f"{host} latest"] for host in ("ghcr.io", "docker.io", "hub.org")] == [
        "pushed",
        "not moved",
        "already there",
    ]


def test_a_published_tag_is_never_another_image() -> None:
    """Each place is named where an immutable tag is something else."""
    found = publication(place("ghcr.io", **{"2026_2_0": OTHER}), place("docker.io", **{"2026_2_0": BUILT}))
    assert found.conflicts() == [f"ghcr.io/lab/small:2026.2.0 is {OTHER}, and {BUILT} was built"]


def other_commit(origin: Origin) -> Publication:
    """The branch on its way to two registries, of which one has latest at another commit; the other has none."""
    one, two = place(latest=OTHER), place("docker.io")
    one.report = replace(one.report, origins={"latest": origin})
    orders = {"a" * 40: Order.NEWER, "b" * 40: Order.OLDER, "c" * 40: Order.DIVERGED}
    made = datetime(2026, 2, 2, tzinfo=UTC)
    tags = plan("main", "0123456789")
    return Publication(
        "small", tags, [one, two], artifact=IMAGE, made=made, order=lambda sha: orders.get(sha, Order.UNKNOWN)
    )


@pytest.mark.parametrize("made", ["2026-02-03T00:00:00Z", "2026-02-01T00:00:00Z", "", "yesterday"])
def test_an_older_commit_does_not_take_latest(made: str) -> None:
    """The label of the image that is there says its commit, and the history which of the two comes first."""
    older, newer = other_commit(Origin("b" * 40, made)), other_commit(Origin("a" * 40, made))
    assert older.obstacle("latest").startswith("latest stays where it is: it is of commit bbbbbbb, ")
    assert {row.result for row in older.rows() if row.tag == "latest"} == {"left"}
    assert (newer.obstacle("latest"), newer.to_move(newer.states[0])) == ("", ["latest"])
    assert older.warnings == newer.warnings == []


@pytest.mark.parametrize("revision", ["", "f" * 40, "c" * 40])
def test_a_clock_decides_where_history_does_not(revision: str) -> None:
    """The newest image among all repositories counts, and a warning names the image."""
    later = other_commit(Origin(revision, "2026-02-03T00:00:00.123456789Z"))
    assert later.obstacle("latest").startswith("latest stays where it is: it is of a commit of 2026-02-03 00:00")
    earlier = other_commit(Origin(revision, "2026-02-01T00:00:00Z"))
    assert earlier.obstacle("latest") == ""
    for found, outcome in ((later, "stays where it is"), (earlier, "moves")):
        (warning,) = found.warnings
        assert warning.startswith(f"small: WARNING: not history but a clock decided that latest {outcome}: ")


@pytest.mark.parametrize("made", ["", "yesterday", "2026-02-03T00:00:00"])
def test_a_time_that_is_none_decides_nothing(made: str) -> None:
    """Images of other programs say what they like."""
    found = other_commit(Origin("", made))
    assert found.obstacle("latest") == ""
    assert "nothing decided" in found.warnings[0]


def test_a_rule_of_a_registry_is_told_with_its_remedy() -> None:
    """The rows that it holds back name what has to be done; those of other registries do not."""
    one, two = place("ghcr.io", latest=OTHER), place("hub.org", latest=OTHER)
    found = publication(one, two)
    push(one)
    push(two)
    failed = RegistryFailure(
        doing="pushing latest", tag="latest", kind=Kind.IMMUTABLE, reason="PRECONDITION: …", tries=1, seconds=1
    )
    two.take(RepositoryReport(failure=failed))
    rows = {row.repository: row for row in found.rows() if row.tag == "latest"}
    assert {row.result for row in rows.values()} == {"not moved"}
    assert "on Harbor, Projects > lab > Policy > Tag Immutability" in rows["hub.org/lab/small"].remedy
    assert rows["ghcr.io/lab/small"].remedy == ""


def test_a_private_repository_is_noted() -> None:
    """Whatever was reported after that; a repository that anybody can pull from is not noted."""
    one, two = place("ghcr.io"), place("docker.io")
    one.take(RepositoryReport(private="it answered 401"))
    one.take(RepositoryReport())
    (note,) = publication(one, two).notes
    assert note.startswith("ghcr.io/lab/small is private: nobody can pull it without a login (it answered 401); ")


def test_a_tag_of_another_commit_is_left_to_it() -> None:
    """The one of any registry counts in all; the tag of a version is never lengthened."""
    one, two = place("ghcr.io", **{"sha-0123456": OTHER}), place("docker.io")
    found = publication(one, two)
    found.commit = "0123456789"
    assert not found.lengthen()
    one.report = replace(one.report, origins={"sha-0123456": Origin("0123456f" + "0" * 32, "")})
    assert found.lengthen()
    assert found.tags.immutable == ("2026.2.0", "sha-01234567")
    assert found.conflicts() == []
    # latest of another commit takes no tag away.
    two.report = replace(two.report, origins={"latest": Origin("01234567f" + "0" * 31, "")})
    assert not found.lengthen()


def sif_on_its_way(*places: RepositoryState, tags: Tags = TAGS) -> Publication:
    """An image and its SIF on their way to their places."""
    return Publication("small", with_sif(tags), list(places), artifact=replace(IMAGE, sif=SIF))


def push_both(to: RepositoryState) -> None:
    """Add the report of a push of an image and its SIF."""
    digests = {**dict.fromkeys(FIXED, BUILT), **{f"{tag}-sif": SIF.digest for tag in FIXED}}
    to.take(RepositoryReport(tags=(*to.report.tags, *digests), digests=digests))


def test_a_sif_has_tags_of_its_own() -> None:
    """Each tag is compared with what belongs to it, and the note has the command that pulls the file."""
    one = place(latest=BUILT, **{"latest-sif": BUILT})
    found = sif_on_its_way(one)
    assert results(dry(found))["ghcr.io 2026.2.0-sif"] == "to push"
    assert found.notes == []
    push_both(one)
    assert found.to_move(one) == ["2026.2", "2026.2-sif", "latest-sif"]
    (note,) = found.notes
    assert (
        note == f"small as a SIF, whose file has {FILE}: apptainer pull small.sif oras://ghcr.io/lab/small:2026.2.0-sif"
    )


def test_a_tag_with_another_sif_is_taken() -> None:
    """It is an immutable one, as that of an image."""
    found = sif_on_its_way(place(**{"2026_2_0": BUILT, "2026_2_0-sif": OTHER}))
    assert found.conflicts() == [f"ghcr.io/lab/small:2026.2.0-sif is {OTHER}, and {SIF.digest} was built"]


def test_no_tag_moves_while_one_registry_lacks_the_sif() -> None:
    """Neither the image's nor the SIF's: at one version, they are published together."""
    one, two = place("ghcr.io"), place("docker.io")
    found = sif_on_its_way(one, two)
    push_both(one)
    push(two)
    fail(two)
    assert found.to_move(one) == []
    assert results(found)["docker.io 2026.2.0-sif"] == "missing"
    push_both(two)
    assert found.to_move(one) == found.to_move(two) == ["2026.2", "latest", "2026.2-sif", "latest-sif"]


def test_the_tags_of_a_sif_go_where_those_of_its_image_go() -> None:
    """They stay with a newer commit's or release's, and a run that was cut off between the two finishes the second."""
    older = other_commit(Origin("b" * 40, ""))
    older.tags = with_sif(older.tags)
    assert older.obstacle("latest-sif").startswith("latest-sif stays where it is: it is of commit bbbbbbb, ")
    newer = place(**{"2026_2_1": OTHER, "2026_2_1-sif": OTHER, "2026_3_0-sif": OTHER})
    found = sif_on_its_way(newer)
    push_both(newer)
    assert found.obstacle("2026.2-sif") == "2026.2-sif stays where it is: 2026.2.1 is there, and is newer than 2026.2.0"
    half = place(**{"2026_2": BUILT, "latest": BUILT, "latest-sif": OTHER})
    found = sif_on_its_way(half)
    push_both(half)
    assert found.to_move(half) == ["2026.2-sif", "latest-sif"]


def test_a_warning_about_latest_is_there_once() -> None:
    """The SIF's tag follows without one of its own."""
    found = other_commit(Origin("", ""))
    found.tags = with_sif(found.tags)
    assert len(found.warnings) == 1
