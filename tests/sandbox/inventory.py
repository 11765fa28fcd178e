"""Which parts were made last, so that a start with nothing to make does not even load what makes them."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from tests.sandbox import cache, current_pixi
from tests.sandbox.images import BaseImage
from tests.sandbox.parts import HERE, Parts
from tests.sandbox.sdk_content import Sdk
from tests.sandbox.state import State


def key() -> str:
    """Changes with any file of the sandbox, with the Python that runs it, and with a real pixi that was named."""
    return cache.digest(HERE, sys.version, sys.base_prefix, current_pixi.identity())


def load(state: State, wanted: str) -> Parts | None:
    """The parts that were made last, or None when something changed since, or one of them is gone or damaged."""
    try:
        found = json.loads((state.folder / "parts.json").read_text())
        if found["key"] != wanted:
            return None
        parts = Parts(
            engine=Path(found["engine"]),
            pixi=Path(found["pixi"]),
            rootfs=Path(found["rootfs"]),
            olareg=Path(found["olareg"]),
            sdk=Sdk(Path(found["sdk"].pop("folder")), **found["sdk"]),
            channel=Path(found["channel"]),
            images=[BaseImage(image["reference"], Path(image["layout"])) for image in found["images"]],
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
    folders = {_part(folder) for folder in (*parts.folders, *(image.layout for image in parts.images))}
    return parts if all(cache.damage(folder.parent) is None for folder in folders) else None


def save(state: State, made_from: str, parts: Parts) -> None:
    """Note the parts that were made, and the key of what they were made from."""
    (state.folder / "parts.json").write_text(json.dumps({"key": made_from, **asdict(parts)}, default=str, indent=2))


def _part(path: Path) -> Path:
    return path if path.name == "part" else _part(path.parent)
