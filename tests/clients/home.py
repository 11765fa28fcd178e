"""The user's home on the login node."""

import os
from pathlib import Path

from tests.sandbox.clients import USER


def write(path: Path, text: str = "") -> Path:
    """Write a file for the user of the login node, with the folders above it that are missing; return its path."""
    missing = [folder for folder in path.parents if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    for made in (path, *missing):
        os.chown(made, USER, USER)
    return path
