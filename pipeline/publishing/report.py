"""Reports of a publication: which tag stands where, what was done for it, and what is missing."""

from collections.abc import Sequence
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from pipeline.output.formats import Format
from pipeline.output.tables import SHORT_DIGEST, draw_markdown, draw_table

COLUMNS: Final = ("repository", "tag or attachment", "digest", "result", "MB", "s", "tries")
#: What a row says of a tag or an attachment; after what is incomplete the publication has to be run again.
Result = Literal["pushed", "already there", "left", "to push", "to attach", "missing", "not moved"]
INCOMPLETE: Final[frozenset[Result]] = frozenset({"missing", "not moved"})


class PublicationRow(BaseModel):
    """One tag, or one document that is attached to the image, in one repository."""

    model_config = ConfigDict(frozen=True)

    repository: str
    tag: str
    """Or what the document is called."""
    kind: Literal["tag", "attachment"] = "tag"
    digest: str = ""
    """Where the tag is now, or the digest of the document's manifest; empty where nobody knows, or nothing is there."""
    result: Result
    bytes: int = 0
    """Of the layers and the configuration that were sent."""
    seconds: float = 0.0
    tries: int = 0
    """0 where nothing was sent."""
    reason: Annotated[str, Field(repr=False)] = ""
    """Why the tag is not where it should be, or was left where it is."""


class Published(BaseModel):
    """All tags of all images in all repositories, and what is attached to them."""

    model_config = ConfigDict(frozen=True)

    ref: str
    dry_run: bool
    digests: dict[str, str]
    """What was built, by image; empty after a dry run."""
    rows: tuple[PublicationRow, ...]
    notes: tuple[str, ...] = ()

    @property
    def incomplete(self) -> list[PublicationRow]:
        """The tags and attachments that are not where they should be."""
        return [row for row in self.rows if row.result in INCOMPLETE]


def draw(found: Published, form: Format) -> str:
    """A report in a format."""
    if form is Format.JSON:
        return found.model_dump_json(indent=2) + "\n"
    rows = [_cells(row) for row in found.rows]
    table = draw_markdown(COLUMNS, rows) if form is Format.MARKDOWN else draw_table(COLUMNS, rows)
    notes = "".join(f"{note}\n" for note in [*found.notes, *_reasons(found.rows)])
    return f"{table}\n{notes}" if form is Format.MARKDOWN and notes else f"{table}{notes}"


def explain(found: Published) -> str:
    """The sentence that an incomplete publication ends with: what is missing, and the remedy."""
    missing = [
        f"{row.repository}:{row.tag}" if row.kind == "tag" else f"{row.tag} in {row.repository}"
        for row in found.incomplete
    ]
    count = f"{len(missing)} of {len(found.rows)} tags and attachments are not where they should be"
    return f"{count} ({', '.join(missing)}); run the same command again: it finishes what is missing"


def _cells(row: PublicationRow) -> tuple[str, ...]:
    size = f"{row.bytes / 1e6:.1f}" if row.tries else ""
    seconds = f"{row.seconds:.1f}" if row.tries else ""
    return (
        row.repository,
        row.tag,
        row.digest[:SHORT_DIGEST],
        row.result,
        size,
        seconds,
        str(row.tries) if row.tries else "",
    )


def _reasons(rows: Sequence[PublicationRow]) -> list[str]:
    """Each reason once for each repository."""
    return list(dict.fromkeys(f"{row.repository}: {row.reason}" for row in rows if row.reason))
