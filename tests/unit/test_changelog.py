from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from pipeline.changelog import unmentioned, versions, with_release
from pipeline.errors import Code
from tests.unit.refusals import refused

DAY = date(2026, 2, 3)
HEAD = "# Changelog\n\nAbout this file.\n"
OLD = "## 2026.1.0 - 2026-01-02\n\n### Added\n- All of it.\n"


def test_what_waited_goes_under_the_version() -> None:
    """The heading for what comes next stays above, older entries stay below, unchanged."""
    text = f"{HEAD}\n## Unreleased\n\n### Fixed\n- A fault.\n\n{OLD}"
    assert with_release(text, Version("2026.2.0"), DAY, []) == (
        f"{HEAD}\n## Unreleased\n\n## 2026.2.0 - 2026-02-03\n\n### Fixed\n- A fault.\n\n{OLD}"
    )


def test_commits_that_nobody_wrote_about_follow() -> None:
    """A subject is listed once, unless the entry has its words already."""
    text = f"{HEAD}\n## Unreleased\n\n### Fixed\n- Correct `the fault`.\n\n{OLD}"
    after = with_release(text, Version("2026.2.0"), DAY, ["Correct the fault", "Add a probe", "Add a probe"])
    assert "- Correct `the fault`.\n\n### Commits\n- Add a probe\n\n## 2026.1.0" in after


@pytest.mark.parametrize("unreleased", ["## Unreleased", "## Unreleased\n", "## unreleased\n\n"])
def test_an_empty_changelog_gets_its_first_entry(unreleased: str) -> None:
    """Without older entries, and with nothing that waited, the commits are the entry."""
    after = with_release(f"{HEAD}\n{unreleased}", Version("2026.1.0"), DAY, ["Begin"])
    assert after.endswith("nreleased\n\n## 2026.1.0 - 2026-02-03\n\n### Commits\n- Begin\n")


def test_brackets_are_kept() -> None:
    """If the headings are links, the new one is, too."""
    after = with_release(f"{HEAD}\n## [Unreleased]\n\n## [2026.1.0] - 2026-01-02\n", Version("2026.2.0rc1"), DAY, [])
    assert "## [2026.2.0rc1] - 2026-02-03\n\n## [2026.1.0] - 2026-01-02\n" in after
    assert versions(after) == [Version("2026.2.0rc1"), Version("2026.1.0")]


def test_a_changelog_without_its_heading_is_refused() -> None:
    """There is no guessing where an entry belongs."""
    with refused(Code.CHANGELOG_INVALID, "CHANGELOG.md", "'## Unreleased'"):
        with_release(f"{HEAD}\n{OLD}", Version("2026.2.0"), DAY, ["Begin"])


def test_versions_are_those_of_headings() -> None:
    """Other headings, and versions in the text, are none."""
    assert versions(f"{HEAD}## Unreleased\n- 2025.1.0\n### 2024.1.0\n## v2026.02.0\n{OLD}") == [
        Version("2026.2.0"),
        Version("2026.1.0"),
    ]


@pytest.mark.parametrize(
    ("subject", "line"),
    [
        ("Fix <b> and *x*", r"- Fix \<b> and \*x\*"),
        ("Rename `a_b*` to c_d", r"- Rename `a_b*` to c\_d"),
        ("A lone ` and a_b", r"- A lone ' and a\_b"),
        ("See [x](y)", r"- See \[x\](y)"),
    ],
)
def test_a_subject_is_shown_as_it_was_written(subject: str, line: str) -> None:
    """Markdown takes nothing of a subject for its own, except code."""
    assert line in with_release("## Unreleased\n", Version("2026.2.0"), DAY, [subject]).splitlines()


@given(st.lists(st.text(st.characters(codec="ascii", exclude_characters="\r\n\x0b\x0c\x1c\x1d\x1e"), max_size=20)))
def test_every_release_keeps_what_was_there(subjects: list[str]) -> None:
    """Whatever is released, all lines of before are still there, in their order, and the new entry is the first."""
    text = f"{HEAD}\n## Unreleased\n\n### Fixed\n- A fault.\n\n{OLD}"
    after = with_release(text, Version("2026.2.0"), DAY, subjects)
    remaining = iter(after.splitlines())
    assert all(line in remaining for line in text.splitlines() if line)
    assert versions(after)[0] == Version("2026.2.0")


def test_words_count_not_letters() -> None:
    """A subject that is part of a longer word was not written about."""
    assert unmentioned("- Readd probes.", ["Readd probe", "add Probes", "readd Probes"]) == [
        "Readd probe",
        "add Probes",
    ]
