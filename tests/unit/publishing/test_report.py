"""Reports of a publication, in each format, and the sentence of one that is not complete."""

import json

from pipeline.output.formats import Format
from pipeline.publishing.report import PublicationRow, Published, draw, explain

DIGEST = "sha256:" + "0123456789abcdef" * 4
PUSHED = PublicationRow(
    repository="ghcr.io/lab/small",
    tag="2026.2.0",
    digest=DIGEST,
    result="pushed",
    bytes=75_700_000,
    seconds=1.86,
    tries=2,
)
THERE = PublicationRow(repository="docker.io/lab/small", tag="2026.2.0", digest=DIGEST, result="already there")
MISSING = PublicationRow(repository="hub.org/lab/small", tag="2026.2.0", result="missing", reason="it answered 503")
FOUND = Published(
    ref="v2026.2.0", dry_run=False, digests={"small": DIGEST}, rows=(PUSHED, THERE, MISSING), notes=("A note",)
)


def test_a_table_has_a_line_for_each_tag() -> None:
    """Digests are short; figures are there where something was sent; notes and reasons follow."""
    text = draw(FOUND, Format.TABLE)
    line = next(line for line in text.splitlines() if "ghcr.io" in line)
    assert [cell.strip() for cell in line.split("│")[1:-1]] == [
        "ghcr.io/lab/small",
        "2026.2.0",
        "sha256:0123456789ab",
        "pushed",
        "75.7",
        "1.9",
        "2",
    ]
    assert text.endswith("A note\nhub.org/lab/small: it answered 503\n")


def test_markdown_is_a_table_and_its_notes() -> None:
    """A blank line ends the table, or the notes would be rows of it."""
    text = draw(FOUND, Format.MARKDOWN)
    assert text.startswith("| repository")
    assert text.endswith("|\n\nA note\nhub.org/lab/small: it answered 503\n")


def test_json_has_all_of_it() -> None:
    """A program gets whole digests, and the reasons with the tags."""
    found = json.loads(draw(FOUND, Format.JSON))
    assert found["rows"][0]["digest"] == DIGEST
    assert found["rows"][2]["reason"] == "it answered 503"
    assert found["digests"] == {"small": DIGEST}


def test_what_is_missing_is_said_with_the_remedy() -> None:
    """The tags that are not in place are named, and that the same command finishes it."""
    assert explain(FOUND) == (
        "1 of 3 tags and attachments are not where they should be (hub.org/lab/small:2026.2.0); "
        "run the same command again: it finishes what is missing"
    )
    assert FOUND.incomplete == [MISSING]


def test_a_remedy_comes_before_the_same_command() -> None:
    """Without it, the same command fails again; each remedy is there once."""
    rows = [
        PublicationRow(
            repository="hub.org/lab/small", tag=tag, result="not moved", reason="412", remedy="lift the rule"
        )
        for tag in ("2026.2", "latest")
    ]
    assert explain(FOUND.model_copy(update={"rows": (PUSHED, *rows)})) == (
        "2 of 3 tags and attachments are not where they should be (hub.org/lab/small:2026.2, "
        "hub.org/lab/small:latest); lift the rule; then run the same command again: it finishes what is missing"
    )


def test_a_missing_attachment_is_named_with_its_repository() -> None:
    """It is no tag, and is not written like one."""
    row = PublicationRow(
        repository="hub.org/lab/small", tag="provenance", kind="attachment", result="missing", reason="403"
    )
    assert "1 of 4 tags and attachments are not where they should be (provenance in hub.org/lab/small); " in explain(
        FOUND.model_copy(update={"rows": (PUSHED, THERE, PUSHED, row)})
    )
