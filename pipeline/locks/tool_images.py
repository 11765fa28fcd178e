"""tools.lock of a checkout: each tool image with the digest of its tag at the time of locking.

Tool images get passwords and keys, and the bytes of a layer depend on what archives and compresses it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pipeline.config.settings import TOOLS, Settings
from pipeline.errors import Code
from pipeline.locks import digests as digest_lock
from pipeline.locks.digests import DigestFile, Location, has_digest

FILE: Final = "tools.lock"
#: Remedy for a tools.lock that is stale or invalid.
REMEDY: Final = f"run 'dagger call lock' and commit {FILE}"
_LOCK: Final = DigestFile(FILE, "which is none of the pipeline's tools", Code.TOOLS_LOCK_STALE, REMEDY)


def used(settings: Settings) -> dict[str, str]:
    """Return the tool images by the key of the settings."""
    return {key: str(getattr(settings, key)) for key in TOOLS}


def to_lock(settings: Settings) -> dict[str, str]:
    """Return the tool images that tools.lock must pin, by key: all those without a digest in their reference."""
    return {key: reference for key, reference in used(settings).items() if not has_digest(reference)}


def read(checkout: Path) -> dict[str, str] | None:
    """Read the digests from a checkout's tools.lock; None if there is no such file.

    Raises:
        LockError: the file is not valid.
    """
    return _LOCK.read(checkout)


def pin(checkout: Path, settings: Settings) -> Settings:
    """Return the settings with the digest of each tool image, so that whoever uses one takes the locked image.

    Raises:
        LockError: tools.lock is not valid, or a digest in it is missing or superfluous.
    """
    held = read(checkout)
    if held is None:
        return settings
    unlocked = to_lock(settings)
    required = {Location(settings.file.name, settings.path(key)): reference for key, reference in unlocked.items()}
    _LOCK.require_fitting(held, required)
    pinned = {key: f"{reference}@{held[reference]}" for key, reference in unlocked.items()}
    return settings.model_copy(update=pinned)


def unpinned(settings: Settings) -> str:
    """Return a warning if tool images are not pinned; an empty string if they are."""
    if not to_lock(settings):
        return ""
    return f"without {FILE}, tool images are what their tags are now; 'dagger call lock' pins them"


def write(digests: Mapping[str, str]) -> str:
    """Return the text of a tools.lock."""
    return digest_lock.write("The pipeline's tool images. Written by: dagger call lock", digests)
