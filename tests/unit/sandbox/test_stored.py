"""Files of a registry on the disk, compared with the image that it should have."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.sandbox import oci, stored
from tests.sandbox.state import State

REFERENCE = "ghcr.io/lab/tool:1"


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    (tmp_path / "tool").write_text("tool")
    oci.pack(tmp_path / "layer.tar", {"tool": tmp_path / "tool"})
    oci.write_layout(tmp_path / "layout", [tmp_path / "layer.tar"], oci.Settings())
    return tmp_path / "layout"


@pytest.fixture
def state(tmp_path: Path, layout: Path) -> State:
    """A state whose registry has the image, laid out as docker-registry does."""
    state = State(tmp_path / "s")
    state.create()
    storage = state.registry / "ghcr.io/docker/registry/v2"
    manifest = json.loads((layout / "index.json").read_text())["manifests"][0]["digest"].removeprefix("sha256:")
    repository = storage / "repositories/lab/tool"
    links = [repository / "_manifests/tags/1/current/link", repository / f"_manifests/revisions/sha256/{manifest}/link"]
    for blob in (layout / "blobs/sha256").iterdir():
        data = storage / "blobs/sha256" / blob.name[:2] / blob.name / "data"
        data.parent.mkdir(parents=True)
        data.write_bytes(blob.read_bytes())
        if blob.name != manifest:
            link = repository / "_layers/sha256" / blob.name / "link"
            link.parent.mkdir(parents=True)
            link.write_text(f"sha256:{blob.name}")
    for link in links:
        link.parent.mkdir(parents=True)
        link.write_text(f"sha256:{manifest}")
    return state


def test_a_whole_image_has_nothing_wrong(state: State, layout: Path) -> None:
    """It need not be pushed again."""
    assert stored.wrong_files(state, REFERENCE, layout) == []


def test_an_image_that_was_never_pushed_has_everything_wrong(state: State, layout: Path) -> None:
    """Under another tag, the tag's file is what is missing; in another registry, each file is."""
    assert [file.parts[-3] for file in stored.wrong_files(state, "ghcr.io/lab/tool:2", layout)] == ["2"]
    assert len(stored.wrong_files(state, "docker.io/lab/tool:1", layout)) == 7


@pytest.mark.parametrize("damage", [Path.unlink, lambda file: file.write_bytes(file.read_bytes()[:-1])])
def test_each_file_that_is_cut_or_missing_is_found(
    state: State, layout: Path, damage: Callable[[Path], object]
) -> None:
    """A registry that was killed leaves such files, and would hand them out."""
    files = [path for path in state.registry.rglob("*") if path.is_file()]
    assert len(files) == 7
    for file in files:
        whole = file.read_bytes()
        damage(file)
        assert stored.wrong_files(state, REFERENCE, layout) == [file]
        file.write_bytes(whole)
