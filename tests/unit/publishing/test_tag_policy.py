import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import Code, TagError
from pipeline.git.commit import Commit
from pipeline.output.formats import Format
from pipeline.publishing.tag_policy import (
    TagPlan,
    Tags,
    draw,
    lengthen,
    plan,
    plan_checkout,
    report,
    with_sif,
)
from tests.unit.refusals import refused, require_facts

SHA = "0123456789abcdef0123456789abcdef01234567"
NOON = datetime(2026, 2, 3, 12, tzinfo=UTC)
#: Tags that a registry accepts, by the distribution specification of OCI.
TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")

#: Examples of valid refs.
FORMS = ("v2026.2.0", "v2026.2.0rc1", "main")

numbers = st.integers(0, 3000)
releases = st.tuples(numbers, numbers, numbers).map(lambda parts: ".".join(map(str, parts)))
suffixes = st.sampled_from(["rc1", "-rc.1", "a0", "b2", ".dev3", "-alpha", "RC4"])
prefixes = st.sampled_from(["", "v", "V"])
commits = st.text("0123456789abcdef", min_size=7, max_size=40)


@pytest.mark.parametrize(
    ("ref", "immutable", "floating"),
    [
        ("v2026.2.0", ["2026.2.0", "sha-0123456"], ["2026.2", "latest"]),
        ("2026.2.0", ["2026.2.0", "sha-0123456"], ["2026.2", "latest"]),
        ("v2026.02.0", ["2026.2.0", "sha-0123456"], ["2026.2", "latest"]),
        ("v2026.10.00", ["2026.10.0", "sha-0123456"], ["2026.10", "latest"]),
        ("v2026.2.0rc1", ["2026.2.0rc1", "sha-0123456"], []),
        ("v2026.02.0-rc.1", ["2026.2.0rc1", "sha-0123456"], []),
        ("2026.2.0.dev4", ["2026.2.0.dev4", "sha-0123456"], []),
        ("main", ["sha-0123456"], ["latest"]),
    ],
)
def test_a_trigger_gives_its_tags(ref: str, immutable: list[str], floating: list[str]) -> None:
    """Releases give their series and latest, pre-releases do not, the branch gives latest."""
    tags = plan(ref, SHA)
    assert (list(tags.immutable), list(tags.floating)) == (immutable, floating)


@pytest.mark.parametrize(
    ("ref", "facts"),
    [
        ("", ["neither", "'main'", *FORMS]),
        ("Main", ["neither", "'main'", *FORMS]),
        ("latest", ["neither", "'main'", *FORMS]),
        ("refs/tags/v2026.2.0", ["neither", "'main'", *FORMS]),
        ("feature/x", ["neither", "'main'", *FORMS]),
        ("v2026.2", ["YEAR.MINOR.PATCH", *FORMS]),
        ("v2026.2.0.1", ["YEAR.MINOR.PATCH", *FORMS]),
        ("2026.2.0.post1", ["YEAR.MINOR.PATCH", *FORMS]),
        ("2026.2.0-1", ["YEAR.MINOR.PATCH", *FORMS]),
        ("1!2026.2.0", ["YEAR.MINOR.PATCH", *FORMS]),
        ("2026.2.0+cuda", ["'+cuda'"]),
    ],
)
def test_a_ref_that_gives_no_tag_is_refused(ref: str, facts: list[str]) -> None:
    """The message has the ref, and the valid forms."""
    with refused(Code.TAG_INVALID, f"'{ref}'", *facts, kind=TagError):
        plan(ref, SHA)


def test_a_ref_that_is_too_long_for_a_tag_is_refused() -> None:
    """The message has its length and the limit, and not all of its characters."""
    with refused(Code.TAG_INVALID, "'2222222…'", "204", "128", *FORMS, kind=TagError):
        plan("2" * 200 + ".1.0", SHA)


@pytest.mark.parametrize("commit", ["abc", "main", "0123456789abcdefg", "0" * 41, "abcdef "])
def test_a_commit_that_is_none_is_refused(commit: str) -> None:
    """The commit that is given is an id, not a name."""
    with refused(Code.TAG_INVALID, f"--commit '{commit}'", "7 to 40", kind=TagError):
        plan("main", commit)


@given(prefixes, releases, st.none() | suffixes, commits)
def test_all_tags_are_valid_in_a_registry(prefix: str, release: str, suffix: str | None, commit: str) -> None:
    """Every tag is one by the specification, none is given twice, and one is fixed."""
    tags = plan(f"{prefix}{release}{suffix or ''}", commit)
    named = [*tags.immutable, *tags.floating]
    assert all(TAG.fullmatch(tag) for tag in named)
    assert len(set(named)) == len(named)
    assert tags.immutable
    assert bool(tags.floating) == (suffix is None)


@given(numbers, numbers, numbers, prefixes)
def test_leading_zeros_and_v_change_nothing(major: int, minor: int, patch: int, prefix: str) -> None:
    """The same version gives the same tags however it is written."""
    assert plan(f"{prefix}{major:04}.{minor:03}.{patch:02}", SHA) == plan(f"{major}.{minor}.{patch}", SHA)


def test_a_clean_checkout_gives_its_commit() -> None:
    """If no option names a commit, it is the checkout's."""
    assert plan_checkout("main", None, Commit(SHA, NOON, ())) == plan("main", SHA)


def test_a_commit_that_was_named_is_believed() -> None:
    """Whoever names a commit says what the files are."""
    tags = plan_checkout("main", "FEDCBA9876", Commit(SHA, NOON, ("small/image.toml",)))
    assert tags == Tags(("sha-fedcba9",), ("latest",))


@pytest.mark.parametrize(
    ("found", "facts"),
    [
        (None, ["no .git folder", "--commit"]),
        (Commit(SHA, NOON, ("a", "b", "c", "d")), ["4", "commit 0123456", "(a; b; c; and 1 more)", "--commit"]),
    ],
)
def test_without_a_commit_its_tag_is_left_out(found: Commit | None, facts: list[str]) -> None:
    """A version keeps its own tags and loses sha-…; the branch would have no immutable tag left, and is refused."""
    tags = plan_checkout("v2026.2.0", None, found)
    assert (tags.immutable, tags.floating) == (("2026.2.0",), ("2026.2", "latest"))
    (note,) = tags.notes
    require_facts(note, "sha-…", *facts)
    with refused(Code.TAG_INVALID, "main", "sha-…", *facts, kind=TagError):
        plan_checkout("main", None, found)


@pytest.mark.parametrize(
    ("commit", "others", "tag"),
    [
        (SHA, [], "sha-0123456"),
        (SHA, [SHA], "sha-0123456"),
        (SHA, ["0123456f" + "0" * 32], "sha-01234567"),
        (SHA.upper(), ["0123456f" + "0" * 32], "sha-01234567"),
        (SHA, ["0123456f" + "0" * 32, "0123456789ff" + "0" * 28], "sha-0123456789a"),
        # Not the commit of this tag, or no commit at all.
        (SHA, ["f" * 40, "", "main", "0123456f"], "sha-0123456"),
        # A commit that was given by few digits may be either one.
        ("0123456", ["0123456f" + "0" * 32], "sha-0123456"),
        ("01234567", ["0123456f" + "0" * 32], "sha-01234567"),
    ],
)
def test_a_tag_that_another_commit_has_is_lengthened(commit: str, others: list[str], tag: str) -> None:
    """By as many digits as distinguish the two, and a note says so; the tag of a version stays as it is."""
    planned = plan("2026.2.0", commit)
    tags = lengthen(planned, commit, others)
    assert tags.immutable == ("2026.2.0", tag)
    notes = [f"sha-0123456 is another commit's already, so this one has {tag}"]
    assert list(tags.notes) == (notes if tag != "sha-0123456" else [])
    assert lengthen(tags, commit, others) == tags


def test_the_tag_of_a_sif_is_lengthened_with_that_of_its_image() -> None:
    """The two belong together."""
    tags = lengthen(with_sif(plan("2026.2.0", SHA)), SHA, ["0123456f" + "0" * 32])
    assert tags.immutable == ("2026.2.0", "sha-01234567", "2026.2.0-sif", "sha-01234567-sif")
    assert tags.floating == ("2026.2", "latest", "2026.2-sif", "latest-sif")


def test_without_a_tag_of_a_commit_nothing_is_lengthened() -> None:
    """A version may be published without a commit."""
    tags = plan("2026.2.0", None)
    assert lengthen(tags, "", [SHA]) == lengthen(tags, SHA, ["0" * 40]) == tags


def test_a_pre_release_says_what_it_leaves_alone() -> None:
    """The notes of a pre-release name the tags that it does not move."""
    assert plan("2026.2.0rc1", SHA).notes == ("2026.2.0rc1 is a pre-release: 2026.2 and latest stay where they are",)


def test_the_report_has_all_tags_and_notes() -> None:
    """Each tag has a row with its kind, in every format; notes follow the table."""
    found = report("v2026.2.0", plan("v2026.2.0", None))
    assert [(row.tag, row.kind) for row in found.tags] == [
        ("2026.2.0", "immutable"),
        ("2026.2", "floating"),
        ("latest", "floating"),
    ]
    for form in Format:
        text = draw(found, form)
        assert all(row.tag in text and row.meaning in text for row in found.tags)
        assert "sha-… is left out: no commit is known; give one with --commit" in text
    assert TagPlan.model_validate_json(draw(found, Format.JSON)) == found
    assert draw(found, Format.MARKDOWN).splitlines()[5:] == ["", *found.notes]


def test_the_report_has_the_tags_of_sifs() -> None:
    """With the images that have one; images without one have only the others."""
    found = report("v2026.2.0", plan("v2026.2.0", None), ["large", "small"])
    assert [(row.tag, row.kind) for row in found.tags] == [
        ("2026.2.0", "immutable"),
        ("2026.2.0-sif", "immutable"),
        ("2026.2", "floating"),
        ("latest", "floating"),
        ("2026.2-sif", "floating"),
        ("latest-sif", "floating"),
    ]
    assert found.tags[1].meaning == "the SIF of 2026.2.0: large, small"
