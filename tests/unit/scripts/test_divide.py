"""An installed environment becomes the same bytes wherever it was installed, and is divided into layers of an image."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from pipeline.build.layer_plan import LARGE, REST, Package
from pipeline.scripts import divide, folders

SITE = "lib/python3.12/site-packages"
CONDAS_RECORD = "small.py,,\n__pycache__/small.cpython-312.pyc,,\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root with an environment: two conda packages, one from PyPI, byte code, a link, and files of nobody."""
    monkeypatch.chdir(tmp_path)
    prefix = tmp_path / "app/env"
    for path, text in {
        "lib/libbig.so.1": "big",
        f"{SITE}/small.py": "small",
        f"{SITE}/__pycache__/small.cpython-312.pyc": "code",
        f"{SITE}/__pycache__/small.cpython-312.opt-1.pyc": "code",
        f"{SITE}/small-1.dist-info/RECORD": CONDAS_RECORD,
        f"{SITE}/wheel/__init__.py": "wheel",
        f"{SITE}/Wheel-1.dist-info/RECORD": "wheel/__init__.py,,\nWheel-1.dist-info/RECORD,,\n../../../bin/wheel,,\n",
        "bin/wheel": "#!",
        "conda-meta/history": "",
    }.items():
        (prefix / path).parent.mkdir(parents=True, exist_ok=True)
        (prefix / path).write_text(text)
    (prefix / "bin/wheel").chmod(0o700)
    (prefix / "lib/libbig.so").symlink_to("libbig.so.1")
    (prefix / "var/empty").mkdir(parents=True, mode=0o500)
    write_record(prefix, "big", LARGE, ["lib/libbig.so.1", "lib/libbig.so"])
    write_record(prefix, "small", 10, [f"{SITE}/small.py", f"{SITE}/small-1.dist-info/RECORD"])
    (tmp_path / "entrypoint").write_text("#!/bin/sh\n")
    return tmp_path


def write_record(prefix: Path, name: str, size: int, files: list[str]) -> None:
    """Write the record of a conda package."""
    record = {"name": name, "size": size, "files": files, "paths_data": {"paths": [{"_path": path} for path in files]}}
    (prefix / f"conda-meta/{name}-1-0.json").write_text(json.dumps(record | {"link": {"type": 1}}))


def divided(root: Path) -> dict[str, set[str]]:
    """The files and empty folders of each layer that the environment of a root is divided into."""
    divide.main(Path("app/env"), Path("entrypoint"), Path("layers.json"))
    found: dict[str, list[str]] = json.loads((root / "layers.json").read_text())
    assert list(found) == sorted(found)
    return {name: set(paths) for name, paths in found.items()}


def test_files_follow_their_package(root: Path) -> None:
    """Each file is in the layer of its package: with the record, the byte code that was made later, and scripts."""
    layers = divided(root)
    assert layers["1-big"] == {"lib/libbig.so", "lib/libbig.so.1", "conda-meta/big-1-0.json"}
    (small,) = (files for files in layers.values() if f"{SITE}/small.py" in files)
    assert small >= {f"{SITE}/__pycache__/small.cpython-312.pyc", f"{SITE}/__pycache__/small.cpython-312.opt-1.pyc"}
    (wheel,) = (files for files in layers.values() if "bin/wheel" in files)
    assert wheel >= {f"{SITE}/wheel/__init__.py", f"{SITE}/Wheel-1.dist-info/RECORD"}
    assert layers[REST] == {"conda-meta/history", "var/empty"}


def test_conda_forge_s_link_to_python_changes_nothing_else(root: Path) -> None:
    """Its Python 3.12 has lib/python3.1: a link is in its package's layer, and what it leads to stays where it is."""
    before = divided(root)
    (root / "app/env/lib/python3.1").symlink_to("python3.12")
    write_record(root / "app/env", "big", LARGE, ["lib/libbig.so.1", "lib/libbig.so", "lib/python3.1"])
    after = divided(root)
    assert after == before | {"1-big": before["1-big"] | {"lib/python3.1"}}
    # conda's own metadata is not written again as that of PyPI's.
    assert (root / f"app/env/{SITE}/small-1.dist-info/RECORD").read_text() == CONDAS_RECORD


def test_files_that_are_named_through_a_link_follow_their_package(root: Path) -> None:
    """A package's list may have paths that lead through a link of another one."""
    (root / "app/env/lib64").symlink_to("lib")
    write_record(root / "app/env", "big", LARGE, ["lib64/libbig.so.1", "lib/libbig.so"])
    assert {"lib/libbig.so", "lib/libbig.so.1"} <= divided(root)["1-big"]


def test_each_file_is_in_one_layer(root: Path) -> None:
    """Nothing is left out, and nothing is twice."""
    layers = divided(root)
    there = [path for path in (root / "app/env").rglob("*") if path.is_symlink() or path.is_file()]
    files = {path.relative_to(root / "app/env").as_posix() for path in there}
    assert set().union(*layers.values()) == files | {"var/empty"}
    assert sum(map(len, layers.values())) == len(files) + 1


NAMES = ("two words", "Größe", "日本語", "🦆", "new\nline", "no\udcffutf-8", "-n", "*", "back\\slash", "n" * 200)


def test_files_of_any_name_are_kept(root: Path) -> None:
    """Spaces, line ends, letters beyond ASCII, and bytes that are no text at all."""
    for name in NAMES:
        (root / "app/env/lib" / name).write_text("")
    # A record is text: what is none is nobody's file.
    listed = {f"lib/{name}" for name in NAMES if name.isprintable() or "\n" in name}
    write_record(root / "app/env", "big", LARGE, sorted(listed))
    layers = divided(root)
    assert (listed <= layers["1-big"], {f"lib/{name}" for name in NAMES} - listed) == (True, {"lib/no\udcffutf-8"})
    assert "lib/no\udcffutf-8" in layers[REST]


def test_what_is_outside_of_an_environment_is_left(root: Path) -> None:
    """Links that lead out, to a file, a folder or nowhere, are links; what they lead to gets no time and no mode."""
    (root / "outside").mkdir(mode=0o700)
    (root / "outside/file").write_text("")
    (root / "outside/file").chmod(0o600)
    theirs = (root / "outside", root / "outside/file")
    for path in theirs:
        os.utime(path, (1, 1))
    for name, target in {"folder": str(root / "outside"), "file": "../../../outside/file", "gone": "/gone"}.items():
        (root / "app/env/lib" / name).symlink_to(target)
    assert {"lib/folder", "lib/file", "lib/gone"} <= divided(root)[REST]
    assert [(path.stat().st_mode & 0o777, path.stat().st_mtime) for path in theirs] == [(0o700, 1), (0o600, 1)]


def test_all_of_an_environment_has_one_time(root: Path) -> None:
    """Files, links and folders have the same time."""
    divided(root)
    assert {path.lstat().st_mtime for path in [root / "app/env", *(root / "app/env").rglob("*")]} == {folders.TIME}


def test_every_user_can_read_an_environment(root: Path) -> None:
    """If one user can run a file or enter a folder, all users can."""
    divided(root)
    assert (root / "app/env/bin/wheel").stat().st_mode & 0o777 == 0o755
    assert {path.stat().st_mode & 0o777 for path in root.glob("app/env/**/") if path.is_dir()} == {0o755}


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (0o100600, 0o644),
        (0o100711, 0o755),
        (0o100666, 0o644),
        (0o040700, 0o755),
        (0o104755, 0o4755),
        (0o104711, 0o4755),
        (0o040555, 0o755),
        (0o040000, 0o755),
        (0o100555, 0o555),
        (0o042775, 0o2755),
        (0o100400, 0o444),
    ],
)
def test_modes_are_opened(mode: int, expected: int) -> None:
    """All may read, and run what anybody may; only the owner may write, to folders always; other bits are left."""
    assert divide.opened(mode) == expected


def test_records_say_nothing_of_the_machine(root: Path) -> None:
    """Kind of link and order of files are the same after any installation."""
    divided(root)
    text = (root / "app/env/conda-meta/big-1-0.json").read_text()
    record = json.loads(text)
    assert record["link"] == {"type": divide.COPIED}
    assert record["files"] == ["lib/libbig.so", "lib/libbig.so.1"]
    assert [path["_path"] for path in record["paths_data"]["paths"]] == record["files"]
    assert divide.plain_record(text) == text


def test_a_record_says_nothing_of_which_package_came_first() -> None:
    """Of a path that several have, pixi says whose it should have been, or does not, as they came at once."""
    files = ["lib/a", "lib/tests__clobber-from-small"]
    rest = {"path_type": "hardlink", "size_in_bytes": 1}
    plain, clobbered = ({"_path": path, **rest} for path in files)
    noted = {"_path": files[1], "original_path": "lib/tests", **rest}
    texts = [
        json.dumps({"name": "small", "files": files, "paths_data": {"paths": paths}, "link": None}, indent=2)
        for paths in ([plain, clobbered], [noted, plain])
    ]
    first, second = map(divide.plain_record, texts)
    assert first == second
    assert json.loads(first)["paths_data"]["paths"] == [plain, noted]


def test_a_wheels_record_lists_no_byte_code() -> None:
    """RECORD is sorted, and names neither byte code nor the installer's cache, whose times are of the machine."""
    text = "b.py,sha256=1,2\na/__pycache__/a.cpython-312.pyc,,\nb-1.dist-info/uv_cache.json,,\na.py,sha256=1,2\n\n"
    assert divide.plain_rows(text) == [["a.py", "sha256=1", "2"], ["b.py", "sha256=1", "2"]]


def test_plain_exports_are_in_one_order() -> None:
    """Variables with plain values are sorted; one that is made from others stays where it is, and parts the rest."""
    script = '#!/bin/sh\nexport B="1"\nexport A="2"\nexport C="$B/c"\nexport E="5"\nexport D="4"\nexec "$@"\n'
    assert divide.order_exports(script).split("\n") == [
        "#!/bin/sh", 'export A="2"', 'export B="1"', 'export C="$B/c"', 'export D="4"', 'export E="5"', 'exec "$@"', "",
    ]  # fmt: skip


def run(script: str) -> bytes:
    """The variables that a script leaves."""
    return subprocess.run(["bash", "-c", f"{script}\nenv -0"], capture_output=True, check=True, env={}).stdout


@pytest.mark.parametrize(
    "value",
    [
        "first\nexport INNER=inside", "first\nexport INNER=inside\n", "a\x0bb\x0cc\x1cd\x85e\u2028f\rg\r\nh",
        "it's", '\\"', "a # no comment\nexport B=2", "\\\nexport C=3",
    ],
)  # fmt: skip
def test_a_value_of_several_lines_stays_whole(value: str) -> None:
    """pixi writes a value between quotes as it is; a line of one may look like a line that sets a variable."""
    script = f'export Z="last"\nexport LINES_="{value}"\nexport A="first"\n'
    assert divide.commands(divide.order_exports(script)) == [
        'export A="first"',
        f'export LINES_="{value}"',
        'export Z="last"',
        "",
    ]
    assert sorted(run(divide.order_exports(script)).split(b"\0")) == sorted(run(script).split(b"\0"))


@pytest.mark.parametrize(
    "script", ['export B="1"\n# Don\'t\nexport D="2"\nexport C="3"\n', "export B=#\\\"\nexport A=it\\'s\n"]
)
def test_quotes_that_are_none_end_nothing(script: str) -> None:
    """A comment may have an apostrophe, and so may a value that is not in quotes."""
    assert [len(command.splitlines()) for command in divide.commands(script)] == [1] * (script.count("\n")) + [0]


def test_a_quote_without_an_end_changes_nothing() -> None:
    """A script that is not understood is left as pixi wrote it."""
    script = 'export B="1"\nexport A="\n'
    assert divide.order_exports(script) == script


def test_the_last_of_two_values_holds() -> None:
    """A package may set again what pixi has set."""
    assert b"A=1" in run(divide.order_exports('export A="2"\nexport A="1"\n')).split(b"\0")


def test_an_entrypoint_keeps_its_bytes(root: Path) -> None:
    """Line ends of other systems and text in another encoding are parts of values."""
    text = b'#!/bin/bash\nexport A="\r\n\xff\r"\nexec "$@"\n'
    (root / "entrypoint").write_bytes(text)
    divided(root)
    assert (root / "entrypoint").read_bytes() == text


def test_byte_code_is_found_for_modules_outside_packages() -> None:
    """Byte code beside a module at the top is that module's, too."""
    found = divide.with_byte_code([Package("a", 1, ("a.b.py",))], ["__pycache__/a.b.cpython-312.pyc", "x.pyc"])
    assert found[0].files == ("a.b.py", "__pycache__/a.b.cpython-312.pyc")


@pytest.mark.parametrize("tag", ["cpython-312", "cpython-313t", "cpython-313t.opt-2", "pypy39"])
def test_byte_code_is_found_for_each_python(tag: str) -> None:
    """Byte code of a Python without a lock over all threads has a letter after the number."""
    found = divide.with_byte_code([Package("a", 1, ("m/a.py",))], [f"m/__pycache__/a.{tag}.pyc"])
    assert found[0].files == ("m/a.py", f"m/__pycache__/a.{tag}.pyc")


def test_a_package_without_a_size_has_that_of_its_files(root: Path) -> None:
    """A lock need not say how large a package is; then its files do."""
    assert divide.size(root / "app/env", ["lib/libbig.so.1", "gone"]) == 3


def test_it_is_made_the_same_again(root: Path) -> None:
    """Dividing an environment that was settled before changes no byte of it."""
    layers = divided(root)
    before = {path: path.read_bytes() for path in (root / "app").rglob("*") if path.is_file()}
    assert divided(root) == layers
    assert {path: path.read_bytes() for path in before} == before
