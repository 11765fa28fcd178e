"""The state folder."""

from pathlib import Path

import pytest

from tests.sandbox.errors import SandboxError
from tests.sandbox.state import State


def test_a_path_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    """Before anything is made, in a sentence that names the remedy."""
    with pytest.raises(SandboxError, match=r"107 bytes and this one has \d+; set XDG_CACHE_HOME"):
        State(tmp_path / ("x" * 100)).create()


def test_a_path_that_cannot_be_mounted_is_refused(tmp_path: Path) -> None:
    """Overlay file systems separate folders by colons."""
    with pytest.raises(SandboxError, match="set XDG_CACHE_HOME"):
        State(tmp_path / "a:b").create()


def test_secrets_are_closed_to_others(tmp_path: Path) -> None:
    """The folder with keys and passwords is its owner's alone."""
    state = State(tmp_path / "s")
    state.create()
    assert state.secrets.stat().st_mode & 0o077 == 0
    state.delete()
    assert not state.folder.exists()
