"""Additions to a root file system: files with one time, and folders for all; and the permissions that are removed."""

import stat
from pathlib import Path

import pytest

from pipeline.scripts.finalize import find_ldconfig, make_cache, open_to_all, place, protect
from pipeline.scripts.folders import TIME, inside

#: As much of a static program as is looked at.
PROGRAM = b"\x7fELF and more"
#: A program that writes what it is called with, and what it finds below its root.
LDCONFIG = '#!/bin/sh\ncat "$2"/etc/ld.so.conf.d/*.conf > "$2/etc/ld.so.cache"\n'


def write(root: Path, name: str, text: str | bytes = "x", mode: int = 0o644) -> Path:
    """Write a file below a folder."""
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    file.chmod(mode)
    return file


def times(root: Path) -> dict[str, float]:
    """The times of everything below a folder, and of the folder."""
    return {str(path.relative_to(root)): path.lstat().st_mtime for path in (root, *root.rglob("*"))}


@pytest.mark.parametrize("target", ["usr/lib", "/usr/lib", "../../../../usr/lib"])
def test_a_tree_goes_through_the_links_of_the_image(tmp_path: Path, target: str) -> None:
    """A link to a folder is followed as in the image, never out of it, and a link to a file is replaced."""
    root, tree = tmp_path / "root", tmp_path / "tree"
    write(root, "usr/lib/there")
    (root / "lib").symlink_to(target)
    (root / "etc").mkdir()
    (root / "etc/localtime").symlink_to("/usr/lib/there")
    write(tree, "lib/made/below/file", mode=0o444)
    (tree / "lib/made/link").symlink_to("below/file")
    write(tree, "etc/localtime", "mine")
    (root / "usr").chmod(0o750)
    place(tree, root)
    assert (root / "lib").readlink() == Path(target)
    assert stat.S_IMODE((root / "usr/lib/made/below/file").stat().st_mode) == 0o444
    assert (root / "usr/lib/made/link").readlink() == Path("below/file")
    assert ((root / "etc/localtime").read_text(), (root / "usr/lib/there").read_text()) == ("mine", "x")
    assert stat.S_IMODE((root / "usr").stat().st_mode) == 0o750
    changed = {".", "etc", "etc/localtime", "usr/lib", *(f"usr/lib/made{name}" for name in ("", "/below", "/link"))}
    changed.add("usr/lib/made/below/file")
    assert {name for name, time in times(root).items() if time == TIME} == changed


def test_a_link_in_a_circle_ends(tmp_path: Path) -> None:
    """As in the image, where nobody can open it."""
    (tmp_path / "one").symlink_to("/two")
    (tmp_path / "two").symlink_to("one")
    with pytest.raises(OSError, match="symbolic links"):
        inside(tmp_path, "/one/file")


def test_a_file_does_not_replace_a_folder(tmp_path: Path) -> None:
    """The build reports it, with the key that names the file."""
    write(tmp_path, "root/etc/folder/file")
    write(tmp_path, "tree/etc/folder")
    with pytest.raises(OSError, match="folder"):
        place(tmp_path / "tree", tmp_path / "root")


def test_folders_for_all_are_made_and_opened(tmp_path: Path) -> None:
    """One that is there is opened, and keeps its time; those on the way to a new one are closed to others."""
    root = tmp_path / "root"
    (root / "workspace").mkdir(parents=True, mode=0o755)
    before = (root / "workspace").stat().st_mtime
    for folder in ("/workspace", "/app/.jupyter/config"):
        open_to_all(root, folder)
    modes = {str(path.relative_to(root)): stat.S_IMODE(path.stat().st_mode) for path in root.rglob("*")}
    assert modes == {"workspace": 0o1777, "app": 0o755, "app/.jupyter": 0o755, "app/.jupyter/config": 0o1777}
    assert {time for name, time in times(root).items() if name.startswith("app")} == {TIME}
    assert (root / "workspace").stat().st_mtime == before


def test_the_loaders_cache_is_the_images_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own program makes it, with the configuration that is added; what it changes besides is thrown away."""
    root, tree = tmp_path / "root", tmp_path / "tree"
    (root / "etc").mkdir(parents=True)
    write(root, "usr/sbin/ldconfig", LDCONFIG, 0o755)
    (root / "sbin").symlink_to("usr/sbin")
    write(tree, "etc/ld.so.conf.d/000-host-libs.conf", "/host-libs\n")
    monkeypatch.setattr("pipeline.scripts.finalize.ELF", b"#!/b")
    make_cache(root, tree)
    assert (tree / "etc/ld.so.cache").read_text() == "/host-libs\n"


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"sbin/ldconfig": PROGRAM}, "sbin/ldconfig"),
        ({"sbin/ldconfig": "#!/bin/sh\n", "sbin/ldconfig.real": PROGRAM}, "sbin/ldconfig.real"),
        ({"usr/bin/ldconfig": PROGRAM}, "usr/bin/ldconfig"),
        # As musl's on Alpine, which ends with 1 where it has no arguments.
        ({"sbin/ldconfig": "#!/bin/sh\n"}, None),
        ({}, None),
    ],
)
def test_only_a_program_of_glibc_makes_a_cache(tmp_path: Path, files: dict[str, str | bytes], found: str) -> None:
    """Alpine's is a script, Ubuntu's leads to the program, and distroless images have none: their loader needs none."""
    for name, text in files.items():
        write(tmp_path, name, text)
    path = find_ldconfig(tmp_path)
    assert (path and str(path.relative_to(tmp_path))) == found


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
    protect(tmp_path, [])
    assert file.stat().st_mode & 0o7777 == after


@pytest.mark.parametrize(("mode", "after"), [(0o700, 0o700), (0o750, 0o750), (0o777, 0o1777), (0o1777, 0o1777)])
def test_folders_are_never_opened(tmp_path: Path, mode: int, after: int) -> None:
    """A folder that all may write to gets sticky, and others keep their modes."""
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(mode)
    protect(tmp_path, [])
    assert folder.stat().st_mode & 0o7777 == after


@pytest.mark.parametrize("pattern", ["/kept", "/k*", "*ept", "/kept/*"])
def test_what_is_left_out_is_not_touched(tmp_path: Path, pattern: str) -> None:
    """Patterns name paths that stay as they are, with all that is in them."""
    write(tmp_path, "kept/below/file", mode=0o666)
    (tmp_path / "kept/below").chmod(0o777)
    protect(tmp_path, [pattern])
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("kept/below", "kept/below/file")]
    assert modes == [0o777, 0o666]
