"""Everything that can go wrong, each said in one sentence: what happened, where, and what to do next.

PipelineError
├── ImageNotFoundError    no folder of that name has an image.toml
├── SpecError             image.toml, or [tool.pipeline] of pyproject.toml, says what cannot be
├── ManifestError         pixi.toml is missing or cannot be read
├── LockError             pixi.lock is missing, cannot be read, or does not fit pixi.toml or image.toml
├── RefreshError          pixi could not solve pixi.toml, or a locked package is not the one of its channel
├── EarlierLockError      there is no lock to compare with where one was said to be
├── SbomError             what is in an image is not what was locked for it, or cannot be written down
├── OutdatedError         what is newer, or known to be vulnerable, cannot be told whole
├── ReportError           the page about an image cannot be drawn, or shall tell what it cannot
├── BuildError            a step of the build failed in its container
├── SmokeTestError        an image was built, and does not do what it should
├── TagError              a trigger or commit gives no tag
├── CredentialsError      a registry has no credentials here, or does not accept them
├── SigningError          an image cannot be signed with the key that was given
├── VerifyError           an image that was built again is not the published one, or a published one is not signed
├── PublishError          a tag of an image is missing in a registry, or is another image there
└── CheckError            a checkout is not as it should be
"""

from collections.abc import Mapping, Sequence


class PipelineError(Exception):
    """Any failure that a person can act on; its text is the whole message.

    Args:
        message: one sentence: what happened, where, and what to do next.
        at: where in files that the message names the fault is: the ways to a key of a TOML file of which one is there,
            or words of a line.
    """

    def __init__(self, message: str, at: Mapping[str, Sequence[tuple[str | int, ...]] | str] | None = None) -> None:
        super().__init__(message)
        self.at = dict(at or {})


class ImageNotFoundError(PipelineError):
    """An image was named that the checkout does not have."""


class SpecError(PipelineError):
    """An image.toml, or the settings in pyproject.toml, cannot be used."""


class ManifestError(PipelineError):
    """A pixi.toml cannot be used."""


class LockError(PipelineError):
    """A pixi.lock cannot be used."""


class RefreshError(PipelineError):
    """A pixi.lock could not be made anew, or held against its channel."""


class EarlierLockError(PipelineError):
    """There is no earlier lock where one was said to be."""


class SbomError(PipelineError):
    """The bill of materials of an image cannot be trusted, and is not written."""


class OutdatedError(PipelineError):
    """Something could not be asked what is newer, or known to be vulnerable."""


class ReportError(PipelineError):
    """The page about an image cannot be drawn, or shall tell what it cannot."""


class BuildError(PipelineError):
    """A step of the build failed in its container."""


class SmokeTestError(PipelineError):
    """A built image failed its probes."""


class TagError(PipelineError):
    """A trigger or commit was named that gives no tag."""


class CredentialsError(PipelineError):
    """A registry has no credentials, or does not let the ones that it has do what is needed."""


class SigningError(PipelineError):
    """An image cannot be signed with the key that was given."""


class VerifyError(PipelineError):
    """An image that was built again is not the published one, or a published one is not signed."""


class PublishError(PipelineError):
    """Not every tag of an image could be put where it belongs."""


class ReleaseError(PipelineError):
    """A release cannot be prepared."""


class CheckError(PipelineError):
    """A check of the checkout found something."""
