"""Attachments: documents that a registry holds for a published image, such as SBOMs and signatures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import dagger


@dataclass(frozen=True)
class Attachment:
    """A document that is attached to an image."""

    name: str
    """The name in reports."""

    type: str
    """The media type."""

    subject: str
    """The digest of the manifest or index that it is attached to."""

    file: dagger.File | None
    """The content; None for a document that is only searched for."""

    annotations: Mapping[str, str] = field(default_factory=dict)

    check: Sequence[str] = ()
    """A command that accepts any equivalent document; without one, only a document with the same bytes counts."""

    payload: dagger.File | None = None
    """Content that an equivalent document must have signed; None where the command alone decides."""
