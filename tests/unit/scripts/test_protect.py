"""The permissions that are taken away in an image, and those that are left as somebody made them."""

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "pipeline/scripts/protect.sh"


@pytest.mark.parametrize(
    ("name", "mode", "after"),
    [
        ("etc/ssh/ssh_host_ed25519_key", 0o600, 0o600),
        ("etc/munge/munge.key", 0o400, 0o400),
        ("etc/krb5.keytab", 0o600, 0o600),
        ("etc/grid-security/hostkey.pem", 0o400, 0o400),
        ("usr/libexec/helper", 0o4754, 0o4754),
        ("opt/tool/run", 0o700, 0o700),
        ("opt/tool/text", 0o640, 0o640),
        ("opt/tool/all", 0o666, 0o664),
        ("opt/tool/bin", 0o777, 0o775),
    ],
)
def test_files_are_never_opened(tmp_path: Path, name: str, mode: int, after: int) -> None:
    """Whatever is private stays so; only the permission of others to write is taken."""
    file = tmp_path / name
    file.parent.mkdir(parents=True)
    file.touch()
    file.chmod(mode)
    protect(tmp_path)
    assert file.stat().st_mode & 0o7777 == after


@pytest.mark.parametrize(("mode", "after"), [(0o700, 0o700), (0o750, 0o750), (0o777, 0o1777), (0o1777, 0o1777)])
def test_folders_are_never_opened(tmp_path: Path, mode: int, after: int) -> None:
    """A folder that all may write to gets sticky, and others keep their modes."""
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(mode)
    protect(tmp_path)
    assert folder.stat().st_mode & 0o7777 == after


def test_what_is_left_out_is_not_touched(tmp_path: Path) -> None:
    """The expression names paths that stay as they are."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept").chmod(0o777)
    protect(tmp_path, "-path", f"{tmp_path}/kept")
    assert (tmp_path / "kept").stat().st_mode & 0o7777 == 0o777


def protect(root: Path, *expression: str) -> None:
    """Run the script."""
    leave_out = expression or ("-path", "/nowhere")
    subprocess.run(["sh", "-eu", str(SCRIPT), str(root), *leave_out], check=True)
