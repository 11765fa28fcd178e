"""The sandbox's awkward packages hold what they are there for."""

import json
import tarfile
from pathlib import Path

import pytest
from rattler.package_streaming import extract

from tests.sandbox.channel import archive, awkward, index
from tests.sandbox.channel.archive import Entry


@pytest.fixture(scope="module")
def channel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A channel of these packages, and nothing else."""
    made = tmp_path_factory.mktemp("channel")
    awkward.make(made)
    index.refresh(made)
    return made


def test_a_channel_lists_both_formats(channel: Path) -> None:
    """Packages of the older format are apart from the others."""
    listed = json.loads((channel / "linux-64/repodata.json").read_text())
    assert set(listed["packages"]) == {"awkward-bz2-1.0-0.tar.bz2"}
    assert "awkward-names-1.0-0.conda" in listed["packages.conda"]
    assert listed["packages"]["awkward-bz2-1.0-0.tar.bz2"]["license"] == awkward.LICENSE


def test_all_of_them_are_asked_for_at_once(channel: Path) -> None:
    """One name stands for all, whatever is added."""
    found = {path.name.removesuffix(".tar.bz2").removesuffix(".conda")[:-6] for path in channel.glob("*/awkward-*")}
    listed = json.loads((channel / "linux-64/repodata.json").read_text())["packages.conda"]
    assert {"awkward-packages", *listed["awkward-packages-1.0-0.conda"]["depends"]} == found


@pytest.mark.parametrize("ending", [".conda", ".tar.bz2"])
def test_entries_come_out_as_they_were_written(tmp_path: Path, ending: str) -> None:
    """Files, links, hard links and folders, with their modes; the list of files has their kinds."""
    entries = [
        Entry("a", b"a", 0o755), archive.hard_link("b", "a"), archive.link("c", "/out"), archive.folder("d", 0o555),
    ]  # fmt: skip
    written = archive.write(tmp_path, "tiny", entries, ending=ending)  # type: ignore[arg-type]  # one of the two
    out = tmp_path / "out"
    extract(written, out)
    assert (out / "a").stat().st_ino == (out / "b").stat().st_ino
    assert str((out / "c").readlink()) == "/out"
    assert [(out / name).stat().st_mode & 0o777 for name in "ad"] == [0o755, 0o555]
    paths = json.loads((out / "info/paths.json").read_text())["paths"]
    assert [(line["_path"], line["path_type"]) for line in paths] == [
        ("a", "hardlink"), ("b", "hardlink"), ("c", "softlink"),
    ]  # fmt: skip
    assert paths[0]["sha256"] == paths[1]["sha256"]


def test_a_mode_is_in_the_archive_as_it_is(channel: Path) -> None:
    """Whatever unpacks it decides what becomes of a setuid bit."""
    made = archive.write(channel, "tiny", [Entry("run", b"", 0o4755)], ending=".tar.bz2")
    with tarfile.open(made) as found:
        assert found.getmember("run").mode == 0o4755
    made.unlink()


def test_they_are_the_same_each_time(channel: Path, tmp_path: Path) -> None:
    """The same entries give the same bytes."""
    awkward.make(tmp_path)
    for path in tmp_path.glob("*/awkward-*"):
        assert path.read_bytes() == (channel / path.relative_to(tmp_path)).read_bytes()
