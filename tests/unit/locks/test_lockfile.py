from pathlib import Path

import pytest

from pipeline.errors import Code, LockError
from pipeline.locks.lockfile import LockTarget, Packages, read_packages
from tests.unit.lockfiles import CHANNEL, FILES, conda, pypi, write
from tests.unit.refusals import refused

ROOT = Path(__file__).parents[3]
PLACE = LockTarget("default", "linux-64")
#: One conda and one PyPI package, as formats 4 and 5 write them.
OLD = f"""\
version: {{version}}
environments:
  default:
    channels:
    - url: {CHANNEL}/
    packages:
      linux-64:
      - conda: {CHANNEL}/linux-64/zlib-1.3.1-h0_0.conda
      - pypi: {FILES}/Foo_Bar-1.0-py3-none-any.whl
        extras:
        - all
packages:
- kind: conda
  name: zlib
  version: 1.3.1
  build: h0_0
  build_number: 0
  subdir: linux-64
  url: {CHANNEL}/linux-64/zlib-1.3.1-h0_0.conda
  md5: 00000000000000000000000000000002
  depends: []
- kind: pypi
  name: Foo_Bar
  version: '1.0'
  url: {FILES}/Foo_Bar-1.0-py3-none-any.whl
  sha256: 0000000000000000000000000000000000000000000000000000000000000003
  requires_dist: []
"""
NEW = write([conda("zlib-1.3.1-h0_0", sha256=None, md5="2".zfill(32)), pypi("Foo_Bar", "1.0", sha256="3".zfill(64))])
SEVEN = "platforms:\n- name: p1\n  subdir: linux-64\n  virtual-packages:\n  - __cuda=12.8\n  - __archspec=0=x86_64\n"


def read(tmp_path: Path, text: str | bytes) -> dict[LockTarget, Packages]:
    """The packages of a lock."""
    path = tmp_path / "pixi.lock"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_packages(path, "small/pixi.lock", "lock it again")


@pytest.mark.parametrize(
    "text",
    [
        OLD.format(version=4),
        OLD.format(version=5),
        NEW,
        NEW.replace("version: 6", "version: 7\nplatforms:\n- name: linux-64\n"),
    ],
    ids=["4", "5", "6", "7"],
)
def test_every_format_is_read(tmp_path: Path, text: str) -> None:
    """Packages of both kinds are found, with what the lock says of them and nothing where it says nothing."""
    found = read(tmp_path, text)[PLACE]
    assert list(found) == [("conda", "zlib"), ("pypi", "foo-bar")]
    zlib, foo = found.values()
    assert (zlib.version, zlib.build, zlib.sha256, zlib.md5) == ("1.3.1", "h0_0", None, "2".zfill(32))
    assert (foo.version, foo.sha256, foo.size, foo.license) == ("1.0", "3".zfill(64), None, None)
    assert foo.url == f"{FILES}/Foo_Bar-1.0-py3-none-any.whl"


def test_what_the_machine_is_taken_to_have_is_read(tmp_path: Path) -> None:
    """Format 7 says which CUDA version a lock was solved for."""
    packages = {"default": {"p1": [conda("zlib-1.3.1-h0_0")]}}
    found = read(tmp_path, write(packages, version=7, platforms=SEVEN))[PLACE]
    assert found["virtual", "__cuda"].version == "12.8"
    assert (found["virtual", "__archspec"].version, found["virtual", "__archspec"].build) == ("0", "x86_64")


def test_platforms_of_one_kind_are_told_apart(tmp_path: Path) -> None:
    """If an environment is locked twice for linux-64, each has its name beside the platform."""
    packages = {"default": {"p1": [conda("zlib-1.3.1-h0_0")], "linux-64": [conda("zlib-1.3.0-h0_0")]}}
    found = read(tmp_path, write(packages, version=7, platforms=f"{SEVEN}- name: linux-64\n"))
    assert {place.platform for place in found} == {"linux-64 (p1)", "linux-64 (linux-64)"}


def test_the_lock_of_ml_platform_is_read() -> None:
    """Each package of the real lock has a hash, a size and a licence."""
    found = read_packages(ROOT / "ml_platform/pixi.lock", "pixi.lock", "")
    packages = [package for package in found[LockTarget("ml", "linux-64")].values() if package.kind == "conda"]
    assert len(packages) == 504
    assert all(package.sha256 and package.size and package.license for package in packages)


def test_unusual_packages_are_read(tmp_path: Path) -> None:
    """Names, versions and licences need not be ordinary, and a package may be without size, licence and hash."""
    odd = conda("_x--Y.z_1-1!2.0a-h_0", sha256=None, size=None, license="'not SPDX at all, (see'")
    found = read(tmp_path, write([odd, conda("zlib-1-0", sha256=None, license=None, size=None)]))[PLACE]
    package = found["conda", "_x--y.z_1"]
    assert (package.version, package.build, package.size, package.license) == (
        "1!2.0a",
        "h_0",
        None,
        "not SPDX at all, (see",
    )
    assert found["conda", "zlib"].license is None


def test_a_package_that_is_built_from_source_is_read(tmp_path: Path) -> None:
    """A conda package that has no file yet is known by its folder, and has no hash."""
    source = ("- conda: ./tool", "- conda: ./tool\n  name: tool\n  version: '1.0'\n  build: h\n  subdir: linux-64")
    package = read(tmp_path, write([source]))[PLACE]["conda", "tool"]
    assert (package.url, package.sha256, package.size) == ("./tool", None, None)


def test_an_environment_without_packages_is_read(tmp_path: Path) -> None:
    """Nothing locked is no error: the manifest may ask for nothing."""
    assert read(tmp_path, write({"default": {}}).replace("packages:\npackages:", "packages: {}\npackages: []")) == {}


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("", ["empty"]),
        (" \n\n", ["empty"]),
        (b"\xff\xfe\0\0", ["UTF-8"]),
        ("hello\n", ["missing `version`"]),
        ("- a\n- b\n", ["missing `version`"]),
        ("version: 6\n", ["`environments`"]),
        ("version: six\n", ["integer"]),
        ("version: -1\n", ["integer"]),
        ("version: 1\nmetadata: {}\npackage: []\n", ["`channels`"]),
        ("version: 99\n", ["version 99"]),
        ("version: [\n", ["line 2"]),
        (NEW[: len(NEW) // 2], ["cut off"]),
        (NEW.replace("size: 1000", "size: -1"), ["u64"]),
        (NEW.replace("md5: ", "md5: x"), ["digest"]),
        (NEW.replace("name: Foo_Bar", "name: foo.."), ["foo.."]),
        (NEW.replace("environments:", "<<<<<<< ours\nenvironments:"), ["merge conflict", "line 2"]),
        (f"version: 6\nx: {'[' * 5000}\n", ["recursion limit"]),
        (write([conda("zlib-1.3.1-h0_0"), conda("zlib-1.2-h1_1")]), ["package 'zlib'", "environment 'default'", "linux-64", "1.2 h1_1", "1.3.1 h0_0"]),
        (write([pypi("foo", "1"), pypi("Foo", "2")]), ["package 'foo'", "environment 'default'", "linux-64", "as 1 and 2"]),
        (write([conda("nothing")]), ["missing field"]),
    ],
)  # fmt: skip
def test_a_lock_that_cannot_be_read_is_refused(tmp_path: Path, text: str | bytes, facts: list[str]) -> None:
    """One line has the file, the fault, and the remedy."""
    with refused(Code.LOCK_INVALID, "small/pixi.lock", *facts, "lock it again", kind=LockError) as raised:
        read(tmp_path, text)
    assert "\n" not in raised.value.message


@pytest.mark.parametrize("end", range(0, NEW.rindex("- pypi: "), 31))
def test_a_lock_that_is_cut_off_is_refused(tmp_path: Path, end: int) -> None:
    """Wherever a lock ends before its last package, the error is this one, in one line."""
    with refused(Code.LOCK_INVALID, "small/pixi.lock", "lock it again", kind=LockError) as raised:
        read(tmp_path, NEW[:end])
    assert "\n" not in raised.value.message


def test_a_large_lock_is_read(tmp_path: Path) -> None:
    """A lock of 50 MB is no other than a small one."""
    found = read(tmp_path, NEW.replace("license: MIT", f"license: {'x' * 50_000_000}"))
    assert len(found[PLACE]) == 2


def test_a_stop_is_not_taken_for_a_broken_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while a lock is read ends the program, as ever."""

    def interrupted(_path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rattler.LockFile.from_path", interrupted)
    with pytest.raises(KeyboardInterrupt):
        read(tmp_path, NEW)
