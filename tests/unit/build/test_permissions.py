"""The modes of a Dockerfile's folder: those that git gives, or those of somebody's umask."""

from pathlib import Path

import pytest

from pipeline.build.permissions import has_git_modes


def make(folder: Path) -> Path:
    """A folder as git checks it out with the usual umask: a file, a program, a link and a folder."""
    (folder / "below").mkdir()
    (folder / "file").touch()
    (folder / "below/program").touch()
    (folder / "link").symlink_to("nowhere")
    for name, mode in {".": 0o755, "below": 0o755, "file": 0o644, "below/program": 0o755}.items():
        (folder / name).chmod(mode)
    return folder


def test_a_usual_checkout_is_taken_as_it_is(tmp_path: Path) -> None:
    """It has the modes that git knows, whose links say nothing."""
    assert has_git_modes(make(tmp_path))


@pytest.mark.parametrize(
    ("name", "mode"),
    [(".", 0o700), ("below", 0o750), ("below", 0o775), ("file", 0o600), ("file", 0o664), ("below/program", 0o700)],
)
def test_another_umask_is_noticed(tmp_path: Path, name: str, mode: int) -> None:
    """A stricter one would make files of the image private, and a wider one makes it another image."""
    (make(tmp_path) / name).chmod(mode)
    assert not has_git_modes(tmp_path)
