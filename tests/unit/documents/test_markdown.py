"""Links, anchors, modules and lines of documents: every fault is a finding with its place."""

from pathlib import Path

import pytest

from tests.documents.markdown import anchors, broken_links, links, long_lines, missing_modules


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A page with two headings of one name, beside a folder."""
    (tmp_path / "docs").mkdir()
    other = tmp_path / "docs/other.md"
    other.write_text("# What's `lock --check`?\n\n## Twice\n\n## Twice\n", encoding="utf-8")
    return tmp_path / "docs/page.md"


def findings(page: Path, text: str) -> list[str]:
    page.write_text(text, encoding="utf-8")
    return list(broken_links(page, page.parents[1]))


@pytest.mark.parametrize(
    "target",
    ["other.md", "other.md#twice-1", "other.md#whats-lock---check", "../docs", "#here", "https://a.example/x#y"],
)
def test_a_link_that_leads_somewhere_is_fine(page: Path, target: str) -> None:
    """Files, folders, headings of this page and of others; other hosts are not asked."""
    assert findings(page, f"# Here\n\n[a]({target})\n") == []


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("gone.md", "there is no such file"),
        ("other.md#thrice", "docs/other.md has no such heading"),
        ("#there", "docs/page.md has no such heading"),
        ("../../outside", "there is no such file"),
        ("../docs#twice", "docs has no such heading"),
    ],
)
@pytest.mark.parametrize("mark", ["", "!"])
def test_a_dead_link_is_a_finding(page: Path, mark: str, target: str, reason: str) -> None:
    """Of a link and of an image, with file, line and reason."""
    assert findings(page, f"# Here\n\nwords\n{mark}[a]({target})\n") == [
        f"docs/page.md:4: dead link '{target}': {reason}"
    ]


def test_links_in_code_are_no_links(page: Path) -> None:
    """Text shown as code is no link."""
    assert findings(page, "`[a](gone.md)`\n\n```\n[a](gone.md)\n```\n") == []


def test_links_in_tables_are_links() -> None:
    """A table is not passed over."""
    assert [link.target for link in links("| a |\n|---|\n| [b](c.md) |\n")] == ["c.md"]


def test_headings_have_the_anchors_of_github(page: Path) -> None:
    """Lower case, without signs, with a number for the second of one name."""
    assert anchors(page.with_name("other.md")) == {"whats-lock---check", "twice", "twice-1"}


@pytest.mark.parametrize(
    ("line", "long"),
    [
        ("x" * 120, False),
        ("x" * 121, True),
        ("| " + "x" * 121 + " |", False),
        ("[" + "x" * 110 + "](https://a.example/" + "y" * 50 + ")", False),
        ("x" * 100 + " https://a.example/" + "y" * 50, False),
        ("[" + "x" * 121 + "](y.md)", True),
    ],
)
def test_a_long_line_is_a_finding(page: Path, line: str, *, long: bool) -> None:
    """Of more than 120 characters, without the addresses of links; rows of tables may be longer."""
    page.write_text(f"# Page\n\n{line}\n", encoding="utf-8")
    found = list(long_lines(page, page.parents[1]))
    assert len(found) == long
    assert all(finding.startswith("docs/page.md:3: 12") for finding in found)


def test_a_module_that_is_not_there_is_a_finding(tmp_path: Path) -> None:
    """A page that names a module by its path is changed with the module."""
    (tmp_path / "pipeline/locks").mkdir(parents=True)
    (tmp_path / "pipeline/locks/unpin.py").touch()
    page = tmp_path / "page.md"
    page.write_text("`locks/unpin.py` and `pipeline/locks/unpin.py`,\nbut not `locks/absent.py`\n", encoding="utf-8")
    assert list(missing_modules(page, tmp_path)) == ["page.md:2: there is no module 'locks/absent.py'"]
