"""Report of available updates: one row for each, from the answers of registries and OSV."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from pipeline.config.files import ImageFile
from pipeline.config.image_toml import FILE as SPEC
from pipeline.output.formats import Format
from pipeline.output.tables import SHORT_DIGEST, draw_markdown, draw_table
from pipeline.registry.client import describe_failure
from pipeline.scripts.messages import RepositoryReport as Answer
from pipeline.updates.base_images import cuda_of, newer_cuda, newest_pixi, newest_release, parse, pixi_of
from pipeline.updates.vulnerabilities import Pair, Vulnerability, fixed_in

COLUMNS: Final = ("image", "kind", "what", "current", "newest", "change")
#: Number of digits of a hash in a table.
SHORT_SHA256: Final = 12
#: Subject of a row.
type Kind = Literal["image", "base image", "tool image", "CUDA", "pixi", "file", "vulnerability"]
#: Value of `newest` in a row whose source did not answer.
UNKNOWN: Final = "not known"


class UpdateRow(BaseModel):
    """One available update, or one source that did not answer."""

    model_config = ConfigDict(frozen=True)

    image: str
    kind: Kind
    what: str
    current: str
    newest: str
    change: str = ""
    """The file and key to edit, or the command to run."""

    reason: str = ""
    """The reason why the newest version is not known."""


class Updates(BaseModel):
    """All available updates."""

    model_config = ConfigDict(frozen=True)

    rows: tuple[UpdateRow, ...]
    notes: tuple[str, ...] = ()
    """The scope of the look-up, one sentence an image."""

    @property
    def unknown(self) -> list[UpdateRow]:
        """The rows whose source did not answer."""
        return [row for row in self.rows if row.newest == UNKNOWN]


class Base(BaseModel):
    """A base image of an image, or a tool image of all, and the place that names it."""

    model_config = ConfigDict(frozen=True)

    image: str
    """The image; "tools" for a tool image."""

    kind: Literal["base image", "tool image"] = "base image"

    reference: str
    location: str
    """The key and file that name it, for people."""

    digest: str
    """The digest that a build pulls; empty if it pulls the tag."""

    remedy: str
    """The place or command that changes the digest."""

    has_pixi: bool = False
    """Whether its pixi installs the image's packages, and its tags name releases of pixi."""


def find_newer(base: Base, answer: Answer, pixi: str) -> list[UpdateRow]:
    """Return the available updates of a base image or a tool image.

    Args:
        base: the image.
        answer: the report of its registry.
        pixi: the version of pixi in the base image; empty if unknown.
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
        return [row(base.kind, base.digest[:SHORT_DIGEST], UNKNOWN, "", describe_failure(answer.failure))]
    rows = []
    now = answer.digests.get(name.tag, "")
    if name.tag and not now:
        rows.append(row(base.kind, base.digest[:SHORT_DIGEST], "no such tag any more", base.location))
    elif name.tag and now != base.digest:
        rows.append(row(base.kind, base.digest[:SHORT_DIGEST] or "not locked", now[:SHORT_DIGEST], base.remedy))
    if base.kind == "tool image" and (newer := newest_release(name.tag, answer.tags)):
        current = name.tag.removeprefix("v")
        rows.append(row(base.kind, current, f"{newer.version} ({newer.step})", f"{base.location}: {newer.tag}"))
    rows += [
        row("CUDA", cuda_of(name.tag), f"{newer.version} ({newer.step})", f"{base.location}: {newer.tag}")
        for newer in newer_cuda(name.tag, answer.tags)
    ]
    if base.has_pixi and pixi and (newest := newest_pixi(name.tag, answer.tags, pixi)):
        version, tag = newest
        # A floating tag has the newest pixi as soon as it is locked again.
        change = f"{base.location}: {tag}" if pixi_of(name.tag) else base.remedy
        rows.append(row("pixi", pixi, version, change if tag else f"{base.location}: only other bases have it"))
    return rows


def find_changed(image: str, files: Sequence[ImageFile], hashes: Mapping[str, str]) -> list[UpdateRow]:
    """Return the files of an image whose URL has another content than the pinned one.

    Args:
        image: the image's name.
        files: the files of its image.toml.
        hashes: the SHA-256 of what the URLs have now, as far as they could be downloaded.
    """
    return [
        UpdateRow(
            image=image,
            kind="file",
            what=file.url,
            current=file.sha256[:SHORT_SHA256],
            newest=hashes[file.url][:SHORT_SHA256],
            change=f"'files.{number}.sha256' in {image}/{SPEC}",
        )
        for number, file in enumerate(files)
        if file.url and file.sha256 and file.sha256 != hashes.get(file.url, file.sha256)
    ]


def find_vulnerable(
    image: str, locked: Mapping[Pair, str], known: Mapping[Pair, Sequence[Vulnerability]]
) -> list[UpdateRow]:
    """Return the known vulnerabilities of an image's packages.

    Args:
        image: the image's name.
        locked: its Python packages: the name in the lock by the name and version at PyPI.
        known: vulnerabilities by the name and version at PyPI.
    """
    return [
        UpdateRow(
            image=image,
            kind="vulnerability",
            what=f"{locked[pair]}: {', '.join((vulnerability.id, *vulnerability.aliases))}",
            current=pair[1],
            newest=fixed_in(pair[1], vulnerability) or "not fixed yet",
            change=f"dagger call lock --image {image} --package {locked[pair]}",
        )
        for pair in sorted(locked.keys() & known.keys())
        for vulnerability in known[pair]
    ]


def draw(updates: Updates, form: Format) -> str:
    """Draw a report in a format."""
    if form is Format.JSON:
        return updates.model_dump_json(indent=2) + "\n"
    rows = [(row.image, row.kind, row.what, row.current, row.newest, row.change) for row in updates.rows]
    markdown = form is Format.MARKDOWN
    table = (draw_markdown if markdown else draw_table)(COLUMNS, rows) if rows else "Nothing is outdated.\n"
    reasons = [f"{row.what}: {row.reason}" for row in updates.unknown]
    notes = "".join(f"{'- ' if markdown else ''}{note}\n" for note in dict.fromkeys([*reasons, *updates.notes]))
    return f"{table}\n{notes}" if markdown else f"{table}{notes}"


def explain(unknown: Iterable[UpdateRow]) -> str:
    """Return the message of an incomplete report: a line for the sources, and one for each image without a row."""
    rows = list(unknown)
    lines = [row.reason for row in rows if row.kind == "image"]
    if named := dict.fromkeys(row.what for row in rows if row.kind != "image"):
        lines.append(
            f"{len(named)} of the sources could not be asked ({', '.join(named)}), so there may be more than the table "
            "has; run the same command again when they can be reached"
        )
    return "\n".join(lines)
