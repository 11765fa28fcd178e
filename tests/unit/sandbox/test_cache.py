"""Built parts: made once, noticed when damaged, never half there."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from tests.sandbox import cache


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


class Maker:
    """Makes a part with one file and one link, and counts how often."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, part: Path) -> None:
        self.times += 1
        (part / "bin").mkdir()
        (part / "bin" / "tool").write_text("content")
        (part / "link").symlink_to("bin/tool")


@pytest.fixture
def maker() -> Maker:
    return Maker()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def make(maker: Maker, said: list[str]) -> Callable[[], Path]:
    return lambda: cache.ensure("thing", ["1.0"], maker, say=said.append)


def test_a_part_is_made_once(make: Callable[[], Path], maker: Maker) -> None:
    """The second time, it is found."""
    assert not cache.holds("thing", ["1.0"])
    assert make() == make()
    assert maker.times == 1
    assert cache.holds("thing", ["1.0"])


def test_other_inputs_are_another_part(make: Callable[[], Path], maker: Maker) -> None:
    """A change of any input makes a new part beside the old one."""
    first = make()
    second = cache.ensure("thing", ["2.0"], maker, say=print)
    assert first != second
    assert first.exists()
    assert second.exists()


def _truncate(part: Path) -> None:
    (part / "bin" / "tool").write_text("cont")


def _change_a_byte(part: Path) -> None:
    (part / "bin" / "tool").write_text("c0ntent")


def _remove_a_file(part: Path) -> None:
    (part / "bin" / "tool").unlink()


def _point_elsewhere(part: Path) -> None:
    (part / "link").unlink()
    (part / "link").symlink_to("/etc/passwd")


def _forget_the_list(part: Path) -> None:
    (part.parent / "manifest.json").unlink()


def _truncate_the_list(part: Path) -> None:
    file = part.parent / "manifest.json"
    file.write_text(file.read_text()[:20])


def _empty_the_list(part: Path) -> None:
    (part.parent / "manifest.json").write_text(json.dumps(None))


def _shorten_a_line_of_the_list(part: Path) -> None:
    (part.parent / "manifest.json").write_text(json.dumps({"bin/tool": 7}))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_truncate, "bin/tool has 4 bytes instead of 7"),
        (_change_a_byte, "bin/tool was changed"),
        (_remove_a_file, "bin/tool is gone"),
        (_point_elsewhere, "link points elsewhere"),
        (_forget_the_list, "half-written"),
        (_truncate_the_list, "its list of files cannot be read"),
        (_empty_the_list, "its list of files cannot be read"),
        (_shorten_a_line_of_the_list, "its list of files cannot be read"),
    ],
)
def test_a_damaged_part_is_made_anew(
    make: Callable[[], Path], maker: Maker, said: list[str], damage: Callable[[Path], None], words: str
) -> None:
    """What is wrong is said in a line, and the part is whole again."""
    damage(make())
    part = make()
    assert maker.times == 2
    assert (part / "bin" / "tool").read_text() == "content"
    assert (part / "link").read_text() == "content"
    assert f"thing: {words}; making it again" in said


def test_a_touched_file_is_not_damage(make: Callable[[], Path], maker: Maker) -> None:
    """Another time with the same bytes is no reason to make a part anew, nor to read it more than once."""
    tool = make() / "bin" / "tool"
    before = tool.stat().st_mtime_ns
    os.utime(tool, (0, 0))
    make()
    assert maker.times == 1
    assert tool.stat().st_mtime_ns == before


def test_a_failure_leaves_no_entry(maker: Maker) -> None:
    """What the maker raises reaches the caller, and the next try starts from an empty folder."""

    def fail(part: Path) -> None:
        maker(part)
        raise RuntimeError("no network")

    with pytest.raises(RuntimeError, match="no network"):
        cache.ensure("thing", ["1.0"], fail, say=print)
    assert not [path for path in (cache.root() / "thing").iterdir() if path.is_dir()]
    part = cache.ensure("thing", ["1.0"], maker, say=print)
    assert maker.times == 2
    assert sorted(path.name for path in part.iterdir()) == ["bin", "link"]


def test_what_a_killed_one_left_is_removed(make: Callable[[], Path], maker: Maker) -> None:
    """A folder that was never finished does not stay, and is not taken for the part."""
    entry = make().parent
    left = entry.with_name(f".{entry.name}.abc.half")
    entry.rename(left)
    assert make().parent == entry
    assert maker.times == 2
    assert not left.exists()


def test_what_a_killed_one_left_of_another_part_is_removed(make: Callable[[], Path], maker: Maker) -> None:
    """Nobody may ever make it again, and it can be gigabytes; what is being made now stays."""
    folder = make().parent.parent
    forgotten, being_made = folder / ".1234.abc.half", folder / ".5678.abc.half"
    forgotten.mkdir()
    being_made.mkdir()
    with FileLock(folder / ".5678.lock"):
        cache.ensure("thing", ["2.0"], maker, say=print)
    assert (forgotten.exists(), being_made.exists()) == (False, True)


def test_a_key_depends_on_names_and_bytes(tmp_path: Path) -> None:
    """A file that is renamed or changed changes the key of what is made from its folder; byte code does not."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.py").write_text("1")
    before = cache.digest(source)
    (source / "__pycache__").mkdir()
    (source / "__pycache__" / "a.pyc").write_text("compiled")
    assert cache.digest(source) == before
    (source / "a.py").write_text("2")
    changed = cache.digest(source)
    (source / "a.py").rename(source / "b.py")
    assert len({before, changed, cache.digest(source)}) == 3


def test_neighbouring_inputs_do_not_run_together() -> None:
    """Where one input ends and the next starts is part of the key."""
    assert cache.digest("ab", "c") != cache.digest("a", "bc")


def test_a_missing_source_is_named(tmp_path: Path) -> None:
    """A source file that is not there is an error that names it."""
    with pytest.raises(FileNotFoundError, match=r"nothing\.py"):
        cache.digest(tmp_path / "nothing.py")


def test_only_the_last_entries_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that was made from older inputs goes when two newer ones are there; one that is used again stays."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def ensure(number: int) -> Path:
        return cache.ensure("part", [str(number)], lambda part: (part / "file").touch(), say=lambda _: None)

    first, second = ensure(1), ensure(2)
    ensure(1)
    third = ensure(3)
    assert (first.exists(), second.exists(), third.exists()) == (True, False, True)
