"""Manifests and locks of real public repositories: pixi decides about them, or a true sentence rejects them."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from pipeline.build.pixi_list import choose, explain, read_answer
from pipeline.config.image_toml import ImageSpec
from pipeline.errors import Code
from pipeline.locks.image_lock import LockFiles, check_lock
from tests.unit.lockfiles import write
from tests.unit.locks.test_image_lock import NUMPY, TWO, ZLIB
from tests.unit.refusals import refused

#: Reduced copies of workspaces; they are not part of this repository.
WORKSPACES: Final = Path(__file__).parents[3] / "shared/data/workspaces"
#: A current pixi, for those who have one.
PIXI: Final = os.environ.get("SANDBOX_PIXI", "")

ABSENT: Final = pytest.mark.skipif(not WORKSPACES.is_dir(), reason=f"there are no real workspaces in {WORKSPACES}")
#: The lock of a reduced workspace names other package indexes than its manifest, which pixi finds out.
INDEX: Final = "indexes used to previously solve"


@dataclass(frozen=True)
class Expected:
    """The expected result for an image of a workspace's default environment."""

    packages: int = 0
    """Number of packages that pixi would install; 0 where the image is refused before pixi is asked."""

    reason: str = ""
    """Fact of the message that refuses it: ours, or that of pixi 0.77 where it is asked."""

    code: Code | None = None
    """Code of the error where it is refused before pixi is asked."""

    key: str | None = None
    """Key of the manifest that the error names."""

    cuda: str | None = None
    """CUDA version that image.toml has to give."""


NO_LINUX: Final = Expected(reason="linux-64", code=Code.MANIFEST_PLATFORM, key="tool.pixi.workspace.platforms")
EXPECTED: Final = {
    "01-v6-plain": Expected(299, INDEX, cuda="12"),
    "02-v7-git-pypi": Expected(364, INDEX),
    "03-v6-cuda-major-only": Expected(285, cuda="12"),
    "04-v5-pyproject-mac-only-editable": NO_LINUX,
    "05-v5-plain": Expected(147, INDEX),
    "06-v5-bioconda": Expected(177),
    "07-v6-many-environments": Expected(51),
    "08-v4-many-environments": Expected(57),
    "09-v5-pyproject-editable": Expected(24, INDEX),
    "10-v6-pyproject-source-package": Expected(reason="(array-api-extra)", code=Code.LOCK_SOURCE_PACKAGE),
    "11-v5-pyproject-cuda-editable": Expected(65, INDEX),
    "12-v5-activation-script": Expected(
        reason="no 12-v5-activation-script/scripts/update_ld_library_path.sh",
        code=Code.LOCAL_PATH,
        key="activation.scripts",
    ),
    "13-v5-hep": Expected(298),
    "14-v7-plain": Expected(53),
    "15-v6-plain": Expected(50),
    "16-v7-source-package-cuda-platform": Expected(
        reason="(cuda-brot; cutile-brot)", code=Code.LOCK_SOURCE_PACKAGE, cuda="13"
    ),
    "17-v7-source-package-two-platforms": Expected(reason="(cudabrot)", code=Code.LOCK_SOURCE_PACKAGE, cuda="13"),
    "18-v7-cuda-platform": Expected(180, cuda="12"),
    "19-v6-cuda-major-only": Expected(180, cuda="12"),
    "20-v7-source-package-cuda-platform": Expected(reason="(cutile-example)", code=Code.LOCK_SOURCE_PACKAGE, cuda="13"),
    "21-v7-cuda-platform": Expected(304, cuda="13"),
    "22-v6-plain": Expected(29),
    "23-v6-two-environments": Expected(43, INDEX),
    "24-v6-pyproject-editable": Expected(49, INDEX),
    "25-v6-cuda-environments": Expected(23),
    "26-v6-pyproject-many-environments-editable": Expected(231, INDEX),
    "27-v4-editable": Expected(525),
    "28-v6-pyproject-editable": Expected(234, INDEX),
    "29-v5-pyproject-editable": Expected(236, INDEX),
    "30-v6-pyproject-mac-only": NO_LINUX,
    "31-v7-robots": Expected(51),
    "32-v7-robots-activation": Expected(
        reason="no 32-v7-robots-activation/install/setup.sh",
        code=Code.LOCAL_PATH,
        key="target.unix.activation.scripts",
    ),
    "33-v7-robots-source-package": Expected(
        reason="(ros-jazzy-turtle-choreographer; ros-jazzy-turtle-dancer)", code=Code.LOCK_SOURCE_PACKAGE
    ),
    "34-v6-stale": Expected(358, "the requirement 'mesalib ==23.3.2' could not be satisfied"),
    "35-v1-plain": Expected(302, "unix", cuda="12"),
}


def spec(expected: Expected) -> ImageSpec:
    """The image.toml of a workspace."""
    return ImageSpec(description="x", cuda=expected.cuda)


@ABSENT
def test_every_workspace_has_an_expectation() -> None:
    """And every expectation a workspace."""
    assert sorted(EXPECTED) == sorted(path.name for path in WORKSPACES.iterdir() if path.is_dir())


@ABSENT
@pytest.mark.parametrize(("name", "expected"), EXPECTED.items(), ids=list(EXPECTED))
def test_a_real_workspace_is_for_pixi_or_refused_truthfully(name: str, expected: Expected) -> None:
    """Nothing but what needs no rule of pixi's is decided here: no requirement is compared with what is locked."""
    if expected.packages:
        candidates = check_lock(LockFiles(WORKSPACES / name), spec(expected)).candidates
        counted = [sum(kind != "virtual" for kind, _ in found.packages) for found in candidates]
        assert counted == [expected.packages]
        return
    assert expected.code is not None
    files = LockFiles(WORKSPACES / name)
    at = {files.manifest.name: expected.key} if expected.key else {}
    with refused(expected.code, name, expected.reason, at=at) as raised:
        check_lock(files, spec(expected))
    assert "\n" not in raised.value.message


@ABSENT
@pytest.mark.skipif(not PIXI, reason="SANDBOX_PIXI names no current pixi")
@pytest.mark.parametrize(
    ("name", "expected"), [item for item in EXPECTED.items() if item[1].packages], ids=lambda value: str(value)[:40]
)
def test_a_current_pixi_agrees(tmp_path: Path, name: str, expected: Expected) -> None:
    """It lists the very packages that were read, or the message has its reason."""
    folder = tmp_path / name
    shutil.copytree(WORKSPACES / name, folder)
    held = check_lock(LockFiles(folder), spec(expected))
    environment = {
        "HOME": str(tmp_path),
        "PATH": os.environ["PATH"],
        "CONDA_OVERRIDE_CUDA": expected.cuda or "",
        "PIXI_NO_WRAP": "1",
    }
    asked = subprocess.run(
        [PIXI, "list", "-vv", "--locked", "--no-install", "--json"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if not expected.reason:
        assert choose(name, held, read_answer(name, asked.stdout)) == held.candidates[0]
        return
    error = explain(held.manifest, "default", asked.returncode, asked.stdout + asked.stderr)
    assert expected.reason in error.message


PLACES: Final = """
import sys
from pathlib import Path
from pipeline.locks.image_lock import LockFiles, check_lock
from pipeline.config.image_toml import ImageSpec
lock = check_lock(LockFiles(Path(sys.argv[1])), ImageSpec(description="x", cuda="13"))
print([found.target for found in lock.candidates])
"""


def test_the_answer_is_the_same_in_twenty_processes(tmp_path: Path) -> None:
    """Two platforms of one kind, in a lock: what comes first does not change with the hashes of a process."""
    (tmp_path / "pixi.toml").write_text('[workspace]\nchannels = []\nplatforms = ["linux-64"]\n')
    places = {"default": {"linux-64-cuda": [NUMPY, ZLIB], "linux-64": [ZLIB]}}
    (tmp_path / "pixi.lock").write_text(write(places, version=7, platforms=TWO))

    def run(seed: int) -> str:
        return subprocess.run(
            [sys.executable, "-c", PLACES, str(tmp_path)],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    with ThreadPoolExecutor(2) as pool:
        assert len(set(pool.map(run, range(20)))) == 1
