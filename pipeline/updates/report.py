"""What could be updated in an image, a row a thing: pure decisions from what registries and OSV said, and the table."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from pipeline.output.formats import Format
from pipeline.output.tables import SHORT_DIGEST, draw_markdown, draw_table
from pipeline.registry.client import RepositoryReport as Answer
from pipeline.updates.base_images import cuda_of, newer_cuda, newest_pixi, parse, pixi_of
from pipeline.updates.vulnerabilities import Pair, Vulnerability, fixed_in

COLUMNS: Final = ("image", "kind", "what", "current", "newest", "change")
#: What a row is about.
type Kind = Literal["base image", "CUDA", "pixi", "vulnerability"]
#: What a row says where nobody answered.
UNKNOWN: Final = "not known"


class UpdateRow(BaseModel):
    """One thing that could be updated, or that could not be asked about."""

    model_config = ConfigDict(frozen=True)

    image: str
    kind: Kind
    what: str
    current: str
    newest: str
    change: str = ""
    """Where it is changed."""

    reason: str = ""
    """Why the newest is not known."""


class Updates(BaseModel):
    """All that could be updated."""

    model_config = ConfigDict(frozen=True)

    rows: tuple[UpdateRow, ...]
    notes: tuple[str, ...] = ()
    """What was looked at, and what was not."""

    @property
    def unknown(self) -> list[UpdateRow]:
        """What could not be asked about."""
        return [row for row in self.rows if row.newest == UNKNOWN]


class Base(BaseModel):
    """A base image of an image, and where it is named."""

    model_config = ConfigDict(frozen=True)

    image: str
    reference: str
    place: str
    """The key and file that name it, for people."""

    digest: str
    """The one that a build takes; empty where it takes what the tag is."""

    remedy: str
    """How another digest is taken."""

    has_pixi: bool = False
    """Whether it installs the image, and its tags say which releases of pixi there are."""


def find_newer(base: Base, answer: Answer, pixi: str) -> list[UpdateRow]:
    """What is newer than a base image.

    Args:
        base: the base image.
        answer: what its registry says.
        pixi: the version of pixi that the image's base has; empty where nobody knows.
    """
    name = parse(base.reference)

    def row(kind: Kind, current: str, newest: str, change: str, reason: str = "") -> UpdateRow:
        return UpdateRow(
            image=base.image,
            kind=kind,
            what=base.reference,
            current=current,
            newest=newest,
            change=change,
            reason=reason,
        )

    if answer.failure:
        return [row("base image", base.digest[:SHORT_DIGEST], UNKNOWN, "", answer.failure.sentence)]
    rows = []
    now = answer.digests.get(name.tag, "")
    if name.tag and not now:
        rows.append(row("base image", base.digest[:SHORT_DIGEST], "no such tag any more", base.place))
    elif name.tag and now != base.digest:
        rows.append(row("base image", base.digest[:SHORT_DIGEST] or "not locked", now[:SHORT_DIGEST], base.remedy))
    rows += [
        row("CUDA", cuda_of(name.tag), f"{newer.version} ({newer.step})", f"{base.place}: {newer.tag}")
        for newer in newer_cuda(name.tag, answer.tags)
    ]
    if base.has_pixi and pixi and (newest := newest_pixi(name.tag, answer.tags, pixi)):
        version, tag = newest
        # A tag that names no release of pixi has the newest one as soon as it is locked again.
        change = f"{base.place}: {tag}" if pixi_of(name.tag) else base.remedy
        rows.append(row("pixi", pixi, version, change if tag else f"{base.place}: only other bases have it"))
    return rows


def find_vulnerable(
    image: str, locked: Mapping[Pair, str], known: Mapping[Pair, Sequence[Vulnerability]]
) -> list[UpdateRow]:
    """The known vulnerabilities of an image's packages.

    Args:
        image: its name.
        locked: its packages of Python: the name in the lock by what PyPI has.
        known: vulnerabilities by what PyPI has.
    """
    return [
        UpdateRow(
            image=image,
            kind="vulnerability",
            what=f"{locked[pair]}: {', '.join((found.id, *found.aliases))}",
            current=pair[1],
            newest=fixed_in(pair[1], found) or "not mended yet",
            change=f"dagger call lock --image {image} --package {locked[pair]}",
        )
        for pair in sorted(locked.keys() & known.keys())
        for found in known[pair]
    ]


def draw(found: Updates, form: Format) -> str:
    """A report in a format."""
    if form is Format.JSON:
        return found.model_dump_json(indent=2) + "\n"
    rows = [(row.image, row.kind, row.what, row.current, row.newest, row.change) for row in found.rows]
    markdown = form is Format.MARKDOWN
    table = (draw_markdown if markdown else draw_table)(COLUMNS, rows) if rows else "Nothing is outdated.\n"
    reasons = [f"{row.what}: {row.reason}" for row in found.unknown]
    notes = "".join(f"{'- ' if markdown else ''}{note}\n" for note in dict.fromkeys([*reasons, *found.notes]))
    return f"{table}\n{notes}" if markdown else f"{table}{notes}"


def explain(unknown: Iterable[UpdateRow]) -> str:
    """The sentence that an incomplete report ends with."""
    named = dict.fromkeys(row.what for row in unknown)
    return (
        f"{len(named)} of the sources could not be asked ({', '.join(named)}), so there may be more than the table "
        "has; run the same command again when they can be reached"
    )
