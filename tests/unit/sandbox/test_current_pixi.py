"""Images get the stand-in for a current pixi, or the real one that somebody named."""

import tarfile
from pathlib import Path

import pytest

from tests.sandbox import current_pixi
from tests.sandbox.errors import SandboxError


def test_a_real_pixi_is_taken_where_one_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the certificates of the system, and without the Python of the stand-in; another one is another layer."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(current_pixi.REAL, raising=False)
    assert current_pixi.real() is None
    without = current_pixi.identity()
    program = tmp_path / "pixi"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv(current_pixi.REAL, str(program))
    assert current_pixi.identity() != without

    (tmp_path / "tree").mkdir()
    made = current_pixi.layer(tmp_path / "tree", lambda line: None)  # noqa: ARG005
    with tarfile.open(made) as opened:
        assert opened.getnames() == ["etc/pixi/config.toml", "usr/local/bin/pixi"]
        assert opened.getmember("usr/local/bin/pixi").mode == 0o755


def test_a_pixi_that_is_not_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the name of the variable that named it."""
    monkeypatch.setenv(current_pixi.REAL, str(tmp_path))
    with pytest.raises(SandboxError, match="SANDBOX_PIXI"):
        current_pixi.real()
