"""Conda packages as the sandbox writes them."""

import hashlib
import json
from pathlib import Path

from rattler.package_streaming import extract

from tests.sandbox.channel import index, package


def unpacked(written: Path) -> Path:
    """A package's files and its `info/`, taken out as pixi does."""
    folder = written.with_suffix(".out")
    extract(written, folder)
    return folder


def index_of(written: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((unpacked(written) / "info/index.json").read_text())
    return found


def paths_of(written: Path) -> dict[str, dict[str, object]]:
    found = json.loads((unpacked(written) / "info/paths.json").read_text())
    return {line["_path"]: line for line in found["paths"]}


def test_says_what_it_is(tmp_path: Path) -> None:
    """The index has name, version, build and its number, and what is needed."""
    written = package.write(tmp_path, "tiny", "1.2", "h0_3", {}, depends=["python >=3.12"])
    assert written == tmp_path / "linux-64" / "tiny-1.2-h0_3.conda"
    found = index_of(written)
    assert (found["name"], found["version"], found["build"], found["build_number"]) == ("tiny", "1.2", "h0_3", 3)
    assert (found["depends"], found["subdir"]) == (["python >=3.12"], "linux-64")


def test_lists_each_file_with_its_hash(tmp_path: Path) -> None:
    """paths.json has the size and the hash of what the archive holds."""
    written = package.write(tmp_path, "tiny", "1", "0", {"share/a": b"\0\1", "share/b": "text"})
    lines = paths_of(written)
    for name, data in {"share/a": b"\0\1", "share/b": b"text"}.items():
        assert (unpacked(written) / name).read_bytes() == data
        assert lines[name]["sha256"] == hashlib.sha256(data).hexdigest()
        assert lines[name]["size_in_bytes"] == len(data)


def test_declares_the_prefix(tmp_path: Path) -> None:
    """A file that holds the prefix is declared, as text or binary; others are not."""
    files: dict[str, bytes | str] = {
        "bin/run": f"#!{package.PREFIX}/bin/python\n",
        "lib/data": package.PREFIX.encode() + b"\0",
        "share/plain": "/usr",
    }
    lines = paths_of(package.write(tmp_path, "tiny", "1", "0", files))
    assert {name: line.get("file_mode") for name, line in lines.items()} == {
        "bin/run": "text",
        "lib/data": "binary",
        "share/plain": None,
    }


def test_keeps_links_and_modes(tmp_path: Path) -> None:
    """A folder's links, links to folders and executable files come out of the package as they were."""
    tree = tmp_path / "tree"
    (tree / "bin").mkdir(parents=True)
    (tree / "bin/run").write_text("#!/bin/sh\n")
    (tree / "bin/run").chmod(0o755)
    (tree / "bin/again").symlink_to("run")
    (tree / "programs").symlink_to("bin")
    written = package.write(tmp_path, "tiny", "1", "0", tree)
    out = unpacked(written)
    assert (out / "bin/run").stat().st_mode & 0o777 == 0o755
    assert str((out / "bin/again").readlink()) == "run"
    assert str((out / "programs").readlink()) == "bin"
    types = {name: line["path_type"] for name, line in paths_of(written).items()}
    assert types == {"bin/again": "softlink", "bin/run": "hardlink", "programs": "softlink"}


def test_is_the_same_each_time(tmp_path: Path) -> None:
    """Files of other times and owners, found in another order, give the same bytes."""
    first = package.write(tmp_path / "a", "tiny", "1", "0", {"x": b"1", "y": b"2"})
    tree = tmp_path / "tree"
    tree.mkdir()
    for name, content in (("y", "2"), ("x", "1")):
        (tree / name).write_text(content)
    assert package.write(tmp_path / "b", "tiny", "1", "0", tree).read_bytes() == first.read_bytes()


def test_noarch_names_its_entry_points(tmp_path: Path) -> None:
    """A noarch Python package leaves its scripts to the installer."""
    written = package.write(tmp_path, "tiny", "1", "0", {}, noarch="python", entry_points=["tiny = tiny:main"])
    assert written.parent.name == "noarch"
    link = json.loads((unpacked(written) / "info/link.json").read_text())
    assert link["noarch"] == {"type": "python", "entry_points": ["tiny = tiny:main"]}


def test_a_channel_lists_its_packages(tmp_path: Path) -> None:
    """The index has a package's hash, and after a change of its file still the old one."""
    written = package.write(tmp_path, "tiny", "1", "0", {})
    listed = tmp_path / "linux-64/repodata.json"
    index.refresh(tmp_path)
    digest = package.file_hash(written)
    assert json.loads(listed.read_text())["packages.conda"][written.name]["sha256"] == digest
    assert (tmp_path / "noarch/repodata.json").exists()
    written.write_bytes(written.read_bytes() + b"\0")
    package.write(tmp_path, "tiny", "2", "0", {})
    index.refresh(tmp_path)
    packages = json.loads(listed.read_text())["packages.conda"]
    assert packages[written.name]["sha256"] == digest
    assert sorted(entry["version"] for entry in packages.values()) == ["1", "2"]


def test_a_clone_leaves_its_channel_alone(tmp_path: Path) -> None:
    """Packages of a clone are replaced and added without a change to the channel it came from."""
    first = package.write(tmp_path / "a", "tiny", "1", "0", {})
    index.refresh(tmp_path / "a")
    before = {path: path.read_bytes() for path in sorted((tmp_path / "a").glob("*/*"))}
    copy = index.clone(tmp_path / "a", tmp_path / "b")
    again = package.write(copy, "tiny", "1", "0", {"x": "other"})
    package.write(copy, "tiny", "2", "0", {})
    index.refresh(copy)
    assert again.read_bytes() != first.read_bytes()
    assert {path: path.read_bytes() for path in sorted((tmp_path / "a").glob("*/*"))} == before


def test_channels_are_merged(tmp_path: Path) -> None:
    """A merged index lists what both have."""
    for name in ("one", "two"):
        package.write(tmp_path / name, name, "1", "0", {})
        index.refresh(tmp_path / name)
    index.merge([tmp_path / "one", tmp_path / "two"], tmp_path / "both")
    listed = json.loads((tmp_path / "both/linux-64/repodata.json").read_text())
    assert {entry["name"] for entry in listed["packages.conda"].values()} == {"one", "two"}
