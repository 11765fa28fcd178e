"""From a lock's wheels to conda packages."""

import zipfile
from pathlib import Path

import pytest
from rattler.package_streaming import extract

from tests.sandbox.channel import wheels
from tests.sandbox.errors import SandboxError

METADATA = """Metadata-Version: 2.1
Name: tiny-tool
Version: 1.0
Requires-Python: >=3.10
Requires-Dist: numpy>=2
License-Expression: MIT
Summary: Does little.
"""


def make_wheel(folder: Path) -> Path:
    wheel = folder / "tiny_tool-1.0-py3-none-any.whl"
    info = "tiny_tool-1.0.dist-info"
    files = {
        "tiny_tool/__init__.py": "def main(): pass\n",
        "tiny_tool-1.0.data/data/share/tiny/x": "data\n",
        "tiny_tool-1.0.data/scripts/tiny-script": "#!python\n",
        f"{info}/METADATA": METADATA,
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\ntiny = tiny_tool:main\n",
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"]))
    return wheel


def test_pure_wheel_becomes_noarch(tmp_path: Path) -> None:
    """Modules, data and scripts are where a noarch package has them; entry points are left to the installer."""
    wheel = make_wheel(tmp_path)
    metadata = wheels.read_metadata(wheel)
    written = wheels.pack_wheel(wheel, folder=tmp_path, known={"tiny-tool": metadata})
    assert written.parent.name == "noarch"
    assert written.name.startswith("tiny-tool-1.0-pyh")
    out = tmp_path / "out"
    extract(written, out)
    found = {path.relative_to(out).as_posix(): path for path in out.rglob("*") if path.is_file()}
    content = {name: path.read_bytes() for name, path in found.items() if not name.startswith("info/")}
    info = "site-packages/tiny_tool-1.0.dist-info"
    assert set(content) == {
        "python-scripts/tiny-script",
        "share/tiny/x",
        "site-packages/tiny_tool/__init__.py",
        *(f"{info}/{name}" for name in ("INSTALLER", "METADATA", "RECORD", "WHEEL", "entry_points.txt")),
    }
    assert content[f"{info}/INSTALLER"] == b"conda\n"
    assert content["python-scripts/tiny-script"].startswith(b"#!/opt/anaconda1anaconda2anaconda3/bin/python3.12\n")


def test_the_lock_has_hashes_and_no_address() -> None:
    """The committed lock pins each wheel by hash, and names no index."""
    pins = wheels.read_lock()
    assert {"tensorflow", "root", "numpy", "jupyterlab"} <= set(pins)
    assert "://" not in wheels.LOCK.read_text()


def test_a_lock_without_hash_is_refused(tmp_path: Path) -> None:
    """A wheel that could be anything is named, with the remedy."""
    lock = tmp_path / "wheels.lock"
    lock.write_text("numpy==2.0 \\\n    --hash=sha256:00\nscipy==1.0\n")
    with pytest.raises(SandboxError, match=r"no hash for scipy: write it .* wheels\.in"):
        wheels.read_lock(lock)
