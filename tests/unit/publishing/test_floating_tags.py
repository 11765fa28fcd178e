"""Decisions about floating tags: by numbers, by history, and where that is not known, by clocks."""

import re
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.git.ancestry import Order
from pipeline.git.versions import parse_version
from pipeline.publishing.floating_tags import Current, Decision, decide
from pipeline.publishing.tag_policy import LATEST, Tags, plan
from tests.unit.refusals import require_facts

SHA = "0123456789abcdef0123456789abcdef01234567"
OTHER = "fedcba9876543210fedcba9876543210fedcba98"
NOON = datetime(2026, 2, 3, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
YEAR = timedelta(days=365)

numbers = st.integers(0, 3000)
releases = st.tuples(numbers, numbers, numbers).map(lambda parts: ".".join(map(str, parts)))


def movable(tags: Tags, existing: Collection[str]) -> tuple[str, ...]:
    """The floating tags that may move, as far as the tags in a registry decide."""
    return tuple(tag for tag in tags.floating if not decide(tag, tags, existing).reason)


def latest(ref: str, *currents: Current, made: datetime | None = NOON, existing: Collection[str] = ()) -> Decision:
    """The decision about latest."""
    return decide(LATEST, plan(ref, SHA), existing, made=made, currents=currents)


@given(st.lists(releases, min_size=1, max_size=12), st.data())
def test_moving_tags_end_at_the_newest_whatever_the_order(published: list[str], data: st.DataObject) -> None:
    """Releases published in any order, some of them again, leave each floating tag at the newest that it is about."""
    order = data.draw(st.permutations(published + published[:3]))
    existing: set[str] = set()
    stands: dict[str, str] = {}
    for release in order:
        tags = plan(release, None)
        before = dict(stands)
        existing.update(tags.immutable)
        stands.update(dict.fromkeys(movable(tags, existing), release))
        existing.update(stands)
        assert all(parse_version(stands[tag]) >= parse_version(was) for tag, was in before.items())
    newest = max(published, key=parse_version)
    assert parse_version(stands[LATEST]) == parse_version(newest)
    for series in {plan(release, None).floating[0] for release in published}:
        among = [release for release in published if plan(release, None).floating[0] == series]
        assert parse_version(stands[series]) == max(map(parse_version, among))


@given(st.sets(st.text(max_size=12) | st.sampled_from(["latest", "2027.1", "2027.1.0rc1", "sha-2027100"])))
def test_only_releases_hold_a_tag_back(existing: set[str]) -> None:
    """Pre-releases, series, commits and tags that others pushed say nothing about what is newest."""
    foreign = {tag for tag in existing if not re.fullmatch(r"\s*[vV]?\d+\.\d+\.\d+\s*", tag)}
    assert movable(plan("2026.2.0", SHA), foreign) == ("2026.2", "latest")


@pytest.mark.parametrize(
    ("ref", "existing", "moved"),
    [
        ("2026.2.0", [], ["2026.2", "latest"]),
        ("2026.2.0", ["2026.2.0", "2026.2", "latest"], ["2026.2", "latest"]),
        ("2026.2.0", ["2026.2.1"], []),
        ("2026.2.0", ["v2026.02.1"], []),
        ("2026.1.4", ["2026.2.0"], ["2026.1"]),
        ("2026.9.0", ["2026.10.0"], ["2026.9"]),
        ("2026.2.0rc1", [], []),
        ("main", ["2099.1.0"], ["latest"]),
    ],
)
def test_an_older_release_moves_nothing_back(ref: str, existing: list[str], moved: list[str]) -> None:
    """A series stays at its newest patch and latest at the newest release, compared by number."""
    assert list(movable(plan(ref, SHA), existing)) == moved


@pytest.mark.parametrize("ref", ["main", "2026.2.0"])
@pytest.mark.parametrize("made", [NOON - YEAR, NOON + YEAR, None])
def test_history_decides_about_latest_and_no_clock(ref: str, made: datetime | None) -> None:
    """A commit that is dated later than its child, or next year, holds nothing back, and makes nothing newer."""
    newer = latest(ref, Current(Order.NEWER, OTHER, made))
    assert newer == Decision()
    older = latest(ref, Current(Order.OLDER, OTHER, made))
    assert older == Decision("latest stays where it is: it is of commit fedcba9, which comes after this one")


@pytest.mark.parametrize("tag", ["2026.09.15", "20260115.1.0", "2026.3.0"])
def test_history_decides_about_latest_and_no_number(tag: str) -> None:
    """A tag of a date reads like a release for ever; the commit that latest is of says what is newer."""
    assert latest("2026.2.0", Current(Order.NEWER, OTHER, NOON), existing=[tag]) == Decision()


def test_the_history_of_every_registry_decides() -> None:
    """One that is ahead holds latest back everywhere."""
    behind, ahead = Current(Order.NEWER, OTHER, NOON), Current(Order.OLDER, "1" * 40, NOON)
    assert "1111111" in latest("main", behind, ahead).reason
    assert latest("main", behind, behind) == Decision()


@pytest.mark.parametrize("order", [Order.SAME, Order.DIVERGED, Order.UNKNOWN])
def test_numbers_decide_where_history_does_not(order: Order) -> None:
    """Of one commit or of branches, the newest release has latest."""
    decision = latest("2026.1.4", Current(order, OTHER, NOON - YEAR), existing=["2026.2.0"])
    assert decision.reason == "latest stays where it is: 2026.2.0 is there, and is newer than 2026.1.4"
    assert bool(decision.warning) is (order is Order.UNKNOWN)


@pytest.mark.parametrize("ref", ["main", "2026.2.0"])
@pytest.mark.parametrize(
    ("made", "there", "moves"),
    [
        (NOON, NOON, True),
        (NOON, NOON - SECOND, True),
        (NOON, NOON + SECOND, False),
        (NOON, datetime.fromtimestamp(0, UTC), True),
    ],
)
@pytest.mark.parametrize("order", [Order.DIVERGED, Order.UNKNOWN])
def test_a_clock_decides_last_and_a_warning_says_so(
    ref: str, made: datetime, there: datetime, order: Order, *, moves: bool
) -> None:
    """An image of a newer commit stays latest, also against a release."""
    decision = latest(ref, Current(order, OTHER, there), made=made)
    assert (decision.reason == "") is moves
    outcome = "moves" if moves else "stays where it is"
    require_facts(decision.warning, "WARNING", f"not history but a clock decided that latest {outcome}", "fedcba9")


@pytest.mark.parametrize(("made", "there"), [(NOON, None), (None, NOON), (None, None)])
def test_without_history_and_clock_latest_moves_and_a_warning_says_so(
    made: datetime | None, there: datetime | None
) -> None:
    """Nothing speaks against it, and nothing for it."""
    decision = latest("main", Current(Order.UNKNOWN, "", there), made=made)
    assert decision.reason == ""
    require_facts(decision.warning, "not history but nothing decided that latest moves", "does not say its commit")


@pytest.mark.parametrize(
    ("current", "facts"),
    [
        (Current(Order.UNKNOWN, "", NOON), ["the image there does not say its commit"]),
        (Current(Order.UNKNOWN, OTHER, NOON), ["fedcba9", "not in the history", "a full clone does"]),
        (Current(Order.DIVERGED, OTHER, NOON), ["fedcba9", "another branch"]),
    ],
)
def test_a_warning_says_why_history_did_not_decide(current: Current, facts: list[str]) -> None:
    """An image of another program, a clone that is cut off, and branches; each cause once for all registries."""
    warning = latest("main", current, current).warning
    require_facts(warning, *facts)
    assert warning.count(facts[0]) == 1


def test_without_a_decision_there_is_no_warning() -> None:
    """The first publication, one of the commit that latest is of, and the series, which has no history."""
    assert latest("main") == latest("main", Current(Order.SAME, SHA, NOON)) == Decision()
    there = Current(Order.UNKNOWN, OTHER, NOON + YEAR)
    assert decide("2026.2", plan("2026.2.0", SHA), [], made=NOON, currents=[there]) == Decision()


def test_what_holds_a_series_back_is_told() -> None:
    """The sentence names the tag as the registry has it, so that it can be found there."""
    tags = plan("2026.9.0", SHA)
    assert decide("2026.9", tags, []).reason == ""
    assert decide("2026.9", tags, ["2026.09.15", "2027.1.0"]).reason == (
        "2026.9 stays where it is: 2026.09.15 is there, and is newer than 2026.9.0"
    )
