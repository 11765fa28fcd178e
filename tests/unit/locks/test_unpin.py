from pathlib import Path

import pytest

from pipeline.locks.lockfile import LockTarget, read_packages
from pipeline.locks.unpin import without
from tests.unit.lockfiles import CHANNEL, FILES, conda, pypi, write
from tests.unit.locks.test_lockfile import OLD

ROOT = Path(__file__).parents[3]
ZLIB = f"{CHANNEL}/linux-64/zlib-1.3.1-h0_0.conda"


def names(tmp_path: Path, text: str) -> dict[str, list[str]]:
    """The names of the packages of each environment."""
    path = tmp_path / "pixi.lock"
    path.write_text(text)
    return {
        place.environment: [name for _, name in packages] for place, packages in read_packages(path, "", "").items()
    }


@pytest.mark.parametrize(
    "text",
    [
        OLD.format(version=4),
        OLD.format(version=5),
        write([conda("zlib-1.3.1-h0_0"), pypi("foo-bar", "1.0")]),
        write(
            [conda("zlib-1.3.1-h0_0"), pypi("foo-bar", "1.0")], version=7, platforms="platforms:\n- name: linux-64\n"
        ),
    ],
    ids=["4", "5", "6", "7"],
)
def test_a_package_is_let_go_in_every_format(tmp_path: Path, text: str) -> None:
    """It is in no environment any more, and the lock can be read as before."""
    assert names(tmp_path, without(text, {ZLIB})) == {"default": ["foo-bar"]}


def test_what_a_lock_says_of_its_use_goes_with_it(tmp_path: Path) -> None:
    """The extras of a PyPI package stand below it."""
    text = without(OLD.format(version=4), {f"{FILES}/Foo_Bar-1.0-py3-none-any.whl"})
    assert "extras" not in text
    assert names(tmp_path, text) == {"default": ["zlib"]}


def test_a_package_is_let_go_in_all_environments(tmp_path: Path) -> None:
    """Each of its versions by its own address; an address that only begins the same is another."""
    other = conda("zlib-1.3.1-h0_00")
    text = write(
        {
            "a": {"linux-64": [conda("zlib-1.3.1-h0_0")]},
            "b": {"linux-64": [conda("zlib-1.3.1-h0_0"), conda("b-1-h_0")]},
            "c": {"linux-64": [other]},
        }
    )
    found = names(tmp_path, without(text, {ZLIB}))
    assert (found.get("a", []), found["b"], found["c"]) == ([], ["b"], ["zlib"])


def test_the_last_package_leaves_an_empty_list(tmp_path: Path) -> None:
    """Nothing at all below a platform would be no list, which an older pixi does not read."""
    text = without(write([conda("zlib-1.3.1-h0_0")]), {ZLIB})
    assert "      linux-64: []\n" in text
    assert names(tmp_path, text) == {"default": []}


def test_nothing_else_changes() -> None:
    """The real lock lacks one line after it, and has none changed without it."""
    text = (ROOT / "ml_platform/pixi.lock").read_text()
    packages = read_packages(ROOT / "ml_platform/pixi.lock", "", "")[LockTarget("ml", "linux-64")]
    less = without(text, {packages["conda", "numpy"].url})
    kept = set(less.splitlines())
    removed = [line for line in text.splitlines() if line not in kept]
    assert len(text.splitlines()) - len(less.splitlines()) == 1
    assert [line.strip() for line in removed] == [f"- conda: {packages['conda', 'numpy'].url}"]
    assert without(text, set()) == text
