"""The user's home on the login node."""

import os
from pathlib import Path

from tests.sandbox.clients import USER


def write(path: Path, text: str = "") -> Path:
    """Write a file for the user of the login node, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.chown(path, USER, USER)
    return path
