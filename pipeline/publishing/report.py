"""Report of a publication: the digest and the result of each tag and attachment in each repository."""

from collections.abc import Sequence
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from pipeline.output.formats import Format
from pipeline.output.tables import SHORT_DIGEST, draw_markdown, draw_table

COLUMNS: Final = ("repository", "tag or attachment", "digest", "result", "MB", "s", "tries")
#: Result of a tag or an attachment; after an incomplete one the publication has to be run again.
Result = Literal["pushed", "already there", "left", "to push", "to attach", "missing", "not moved"]
INCOMPLETE: Final[frozenset[Result]] = frozenset({"missing", "not moved"})


class PublicationRow(BaseModel):
    """One tag, or one document that is attached to the image, in one repository."""

    model_config = ConfigDict(frozen=True)

    repository: str
    tag: str
    """The tag, or the name of the attachment."""
    kind: Literal["tag", "attachment"] = "tag"
    digest: str = ""
    """The digest of the tag now, or of the attachment's manifest; empty if unknown or missing."""
    result: Result
    bytes: int = 0
    """Size of the layers and the configuration that were sent."""
    seconds: float = 0.0
    tries: int = 0
    """0 if nothing was sent."""
    reason: Annotated[str, Field(repr=False)] = ""
    """The reason of a missing tag or attachment, or of a tag that was not moved."""
    remedy: Annotated[str, Field(repr=False)] = ""
    """The step that a person takes before the same command finishes it; empty if the command is enough."""


class Published(BaseModel):
    """Results of a publication: all tags and attachments of all images in all repositories."""

    model_config = ConfigDict(frozen=True)

    ref: str
    dry_run: bool
    digests: dict[str, str]
    """The digest of each built image by its name; empty after a dry run."""
    sifs: dict[str, str] = {}
    """The same of each SIF, by the name of its image."""
    rows: tuple[PublicationRow, ...]
    notes: tuple[str, ...] = ()

    @property
    def incomplete(self) -> list[PublicationRow]:
        """The tags and attachments that are missing or were not moved."""
        return [row for row in self.rows if row.result in INCOMPLETE]


def draw(published: Published, form: Format) -> str:
    """Draw a report in a format."""
    if form is Format.JSON:
        return published.model_dump_json(indent=2) + "\n"
    rows = [_cells(row) for row in published.rows]
    table = draw_markdown(COLUMNS, rows) if form is Format.MARKDOWN else draw_table(COLUMNS, rows)
    notes = "".join(f"{note}\n" for note in [*published.notes, *_reasons(published.rows)])
    return f"{table}\n{notes}" if form is Format.MARKDOWN and notes else f"{table}{notes}"


def explain(published: Published) -> str:
    """Return the message of an incomplete publication: the missing tags and attachments, and the remedy."""
    missing = [
        f"{row.repository}:{row.tag}" if row.kind == "tag" else f"{row.tag} in {row.repository}"
        for row in published.incomplete
    ]
    count = f"{len(missing)} of {len(published.rows)} tags and attachments are not where they should be"
    remedies = dict.fromkeys(row.remedy for row in published.incomplete if row.remedy)
    first = "".join(f"{remedy}; then " for remedy in remedies)
    return f"{count} ({', '.join(missing)}); {first}run the same command again: it finishes what is missing"


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
    """Return each reason once for each repository."""
    return list(dict.fromkeys(f"{row.repository}: {row.reason}" for row in rows if row.reason))
