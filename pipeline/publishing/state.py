"""State of a publication: the reports of an image's repositories, and the result of each of its tags."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Final

from pipeline.config.image_toml import Compression
from pipeline.git.ancestry import Order
from pipeline.publishing.floating_tags import Current, Decision, decide
from pipeline.publishing.remedies import describe_private, remedy
from pipeline.publishing.report import PublicationRow, Result
from pipeline.publishing.tag_policy import LATEST, SHA, Tags, lengthen
from pipeline.registry.artifact import Artifact
from pipeline.registry.attachment import Attachment
from pipeline.registry.client import Destination, describe_failure
from pipeline.scripts.messages import SIF, RepositoryReport

MOVING: Final = "other tags came each time that this one was to be moved"


@dataclass
class RepositoryState:
    """State of one repository of one image."""

    to: Destination
    report: RepositoryReport = field(default_factory=RepositoryReport)
    """The last report of its registry."""
    rows: dict[str, PublicationRow] = field(default_factory=dict)
    """The result of each tag and attachment."""
    failure: str = ""
    """The reason of the last failure; empty while nothing failed."""
    remedy: str = ""
    """The step that a person takes before the next try; empty if none is needed."""

    def take(self, report: RepositoryReport) -> None:
        """Update the state with the report of a phase."""
        if report.failure is None:
            known, private = self.report.digests, report.private or self.report.private
            self.report = replace(report, digests={**known, **report.digests}, private=private)
        self.take_attached(report)

    def take_attached(self, report: RepositoryReport) -> None:
        """Update the state with the report of attaching, which has no digests of tags."""
        self.failure = describe_failure(report.failure) if report.failure else ""
        self.remedy = remedy(self.to.repository, report.failure)
        for row in report.rows:
            values = asdict(row)
            result: Result = "pushed" if values.pop("pushed") else "already there"
            self.rows[row.tag] = PublicationRow(repository=self.to.repository, result=result, **values)

    def row(self, tag: str, result: Result, reason: str = "") -> PublicationRow:
        """Return the row of a tag; one with ``result`` and ``reason`` if no phase reported it."""
        default = PublicationRow(
            repository=self.to.repository,
            tag=tag,
            digest=self.report.digests.get(tag, ""),
            result=result,
            reason=reason,
            remedy=self.remedy if reason and reason == self.failure else "",
        )
        return self.rows.get(tag, default)


@dataclass
class Publication:
    """Publication of one image to its repositories."""

    image: str
    tags: Tags
    states: list[RepositoryState]
    documents: tuple[str, ...] = ()
    """The names of its attachments, as reports have them."""
    compression: Compression = "gzip"
    artifact: Artifact | None = None
    attachments: tuple[Attachment, ...] = ()
    commit: str = ""
    """The id of its commit, or the first digits of it; empty if unknown."""
    made: datetime | None = None
    """The time of its commit."""
    order: Callable[[str], Order] = lambda _: Order.UNKNOWN
    """The place of its commit compared with another commit, given by its id."""

    @property
    def existing(self) -> set[str]:
        """All tags of all its repositories: a version in one of them counts in all."""
        return {tag for state in self.states for tag in state.report.tags}

    def decide(self, tag: str) -> Decision:
        """Decide whether a floating tag may move, from the last reports of all registries."""
        currents = [self._current(state) for state in self.states if LATEST in state.report.origins]
        return decide(tag, self.tags, self.existing, made=self.made, currents=currents)

    def lengthen(self) -> bool:
        """Lengthen the ``sha-…`` tag if a registry has it for another commit; return whether it did."""
        others = [
            origin.revision
            for state in self.states
            for tag, origin in state.report.origins.items()
            if tag.startswith(SHA)
        ]
        tags = lengthen(self.tags, self.commit, others)
        changed, self.tags = tags != self.tags, tags
        return changed

    def wanted(self, tag: str) -> str:
        """Return the digest that a tag has to have; empty if nothing was built."""
        return self.artifact.digest_at(tag) if self.artifact else ""

    @property
    def notes(self) -> list[str]:
        """Notes about tags that are left out, about repositories that are private, and how to pull the SIF."""
        private = [
            describe_private(state.to.repository, state.report.private) for state in self.states if state.report.private
        ]
        return [*self.tags.notes, *private, *self._pull_sif()]

    def _pull_sif(self) -> Iterable[str]:
        """Return the command that pulls the SIF from the first repository that has it, with the digest of the file."""
        sif = self.artifact.sif if self.artifact else None
        if sif is None:
            return []
        places = [
            f"{state.to.repository}:{tag}"
            for state in self.states
            for tag in self.tags.immutable
            if state.report.digests.get(tag) == sif.digest
        ]
        text = f"{self.image} as a SIF, whose file has {', '.join(sif.files)}: apptainer pull {self.image}.sif oras://"
        return [f"{text}{place}" for place in places[:1]]

    @property
    def warnings(self) -> list[str]:
        """The warnings of the decisions, each with the image's name."""
        tags = [tag for tag in self.tags.floating if not tag.endswith(SIF)]
        return [f"{self.image}: {text}" for tag in tags if (text := self.decide(tag).warning)]

    def obstacle(self, tag: str) -> str:
        """Return the reason why a floating tag has to stay where it is; empty if it may move."""
        if failed := [state.to.repository for state in self.states if state.failure]:
            return f"{tag} stays where it is until all registries agree: {', '.join(failed)} failed"
        return self.decide(tag).reason

    def to_move(self, state: RepositoryState) -> list[str]:
        """Return the floating tags to move in one of its repositories."""
        free = [tag for tag in self.tags.floating if not self.obstacle(tag)]
        return [tag for tag in free if state.report.digests.get(tag) != self.wanted(tag)]

    def conflicts(self) -> list[str]:
        """List the immutable tags that are another image or SIF already."""
        return [
            f"{state.to.repository}:{tag} is {there}, and {self.wanted(tag)} was built"
            for state in self.states
            for tag in self.tags.immutable
            if (there := state.report.digests.get(tag, self.wanted(tag))) != self.wanted(tag)
        ]

    def rows(self) -> list[PublicationRow]:
        """Return the result of each tag in each repository; if nothing was built, the expected result."""
        return [row for state in self.states for row in self._rows(state)]

    def _rows(self, state: RepositoryState) -> Iterable[PublicationRow]:
        built = self.artifact is not None
        for tag in self.tags.immutable:
            there = tag in state.report.digests
            result: Result = "missing" if built or state.failure else ("already there" if there else "to push")
            yield state.row(tag, result, state.failure)
        for name in self.documents:
            row = state.row(name, "missing" if built or state.failure else "to attach", state.failure)
            yield row.model_copy(update={"kind": "attachment"})
        failed = any(other.failure for other in self.states)
        for tag in self.tags.floating:
            reason = self.obstacle(tag)
            if built and state.report.digests.get(tag) == self.wanted(tag):
                yield state.row(tag, "already there")
            elif not reason:
                yield state.row(tag, "not moved" if built else "to push", MOVING if built else "")
            elif tag in state.rows or not failed:
                yield state.row(tag, "left", reason)
            else:
                yield state.row(tag, "not moved", state.failure or reason)

    def _current(self, state: RepositoryState) -> Current:
        origin = state.report.origins[LATEST]
        order = self.order(origin.revision) if origin.revision else Order.UNKNOWN
        return Current(order, origin.revision, _time(origin.made))


def _time(text: str) -> datetime | None:
    """Return a time of an image's configuration; None if it is not one."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else None
