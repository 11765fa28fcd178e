"""A document that is attached to a published image: what its registry is asked to hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import dagger


@dataclass(frozen=True)
class Attachment:
    """A document that belongs to an image."""

    name: str
    """What a report calls it."""

    type: str
    """Its media type."""

    subject: str
    """The digest that it is about."""

    file: dagger.File | None
    """None where it is only looked for."""

    annotations: Mapping[str, str] = field(default_factory=dict)

    check: Sequence[str] = ()
    """A command that accepts each file that is as good; where there is none, only the file's bytes are."""
