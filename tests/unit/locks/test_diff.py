import json
from pathlib import Path

import pytest

from pipeline.locks.base_images import BaseChange
from pipeline.locks.diff import LockDiff, change_type, compare, report, summarize, topic
from pipeline.locks.lockfile import LockTarget, Package, Packages, read_packages
from pipeline.output.formats import Format
from tests.unit.lockfiles import conda, pypi, write

ROOT = Path(__file__).parents[3]
LINUX = LockTarget("default", "linux-64")


def packages(*found: Package) -> Packages:
    """Packages as a lock holds them."""
    return {(package.kind, package.name): package for package in found}


def package(name: str, version: str, build: str = "h_0", size: int | None = 1000) -> Package:
    """A conda package with an address of its own and no hash."""
    return Package("conda", name, version, build, f"https://example.org/{name}-{version}-{build}.conda", size=size)


def changes(before: Packages, after: Packages) -> list[tuple[str, str]]:
    """Names and words of what changed, in the order of the report."""
    diff = compare("small", "main", {LINUX: before}, {LINUX: after})
    return [(change.name, change.change) for target in diff.targets for change in target.changes]


@pytest.mark.parametrize(
    ("before", "after", "word"),
    [
        ("1.9", "1.10", "upgraded"),
        ("1.10", "1.9", "downgraded"),
        ("1.0", "1.0.post1", "upgraded"),
        ("1.0rc1", "1.0", "upgraded"),
        ("1.1.1a", "1.1.1", "upgraded"),
        ("2025.3", "1!1.0", "upgraded"),
        ("2025b", "2025c", "upgraded"),
        ("1.0", "1.0", "rebuilt"),
        ("1.0", "", "rebuilt"),
    ],
)
def test_versions_are_ordered_as_conda_orders_them(before: str, after: str, word: str) -> None:
    """Numbers by value, letters and releases by conda's rules; what is no version is not called newer or older."""
    assert change_type(package("a", before), package("a", after)) == word


def test_versions_of_pypi_are_ordered_as_pypi_orders_them() -> None:
    """A development release comes before all others of its version."""
    before, after = (Package("pypi", "a", version) for version in ("1.0.dev1", "1.0a1"))
    assert change_type(before, after) == "upgraded"
    assert change_type(after, before) == "downgraded"


def test_every_change_is_told_by_its_word() -> None:
    """A package on one side alone was added or removed; the same file is no change."""
    before = packages(package("kept", "1"), package("older", "1"), package("newer", "2"), package("gone", "1"))
    after = packages(package("kept", "1"), package("older", "2"), package("newer", "1"), package("new", "1"))
    assert changes(before, after) == [
        ("gone", "removed"),
        ("new", "added"),
        ("newer", "downgraded"),
        ("older", "upgraded"),
    ]
    assert changes(packages(package("a", "1", "h_0")), packages(package("a", "1", "h_1"))) == [("a", "rebuilt")]


def test_a_package_is_known_by_its_hash() -> None:
    """A mirror of the channel has the same packages; another file under the old address is another package."""
    here = Package("conda", "a", "1", "h_0", "https://a.example/a-1-h_0.conda", sha256="1")
    mirrored = Package("conda", "a", "1", "h_0", "https://b.example/a-1-h_0.conda", sha256="1")
    replaced = Package("conda", "a", "1", "h_0", "https://a.example/a-1-h_0.conda", sha256="2")
    without = Package("conda", "a", "1", "h_0", "https://a.example/a-1-h_0.conda")
    assert changes(packages(here), packages(mirrored)) == []
    assert changes(packages(here), packages(replaced)) == [("a", "rebuilt")]
    assert changes(packages(here), packages(without)) == []


def test_a_package_that_moved_to_pypi_was_removed_and_added() -> None:
    """One name is two packages where it comes from two places."""
    assert changes(packages(package("a", "1")), packages(Package("pypi", "a", "1"))) == [
        ("a", "removed"),
        ("a", "added"),
    ]


def test_what_matters_most_comes_first() -> None:
    """CUDA, Python, ROOT, TensorFlow, then the others by name."""
    names = ["aaa", "zlib", "tensorflow-base", "libtensorflow_cc", "root_base", "root", "python", "libcublas", "__cuda"]
    found = changes(packages(), packages(*(package(name, "1") for name in names)))
    assert [name for name, _ in found] == [
        "__cuda",
        "libcublas",
        "python",
        "root",
        "root_base",
        "libtensorflow_cc",
        "tensorflow-base",
        "aaa",
        "zlib",
    ]


@pytest.mark.parametrize(
    "name", ["libcurl", "libcups", "python-dateutil", "uproot", "xrootd", "rootpath", "tensorboard", "keras-tuner"]
)
def test_other_packages_are_not_taken_for_them(name: str) -> None:
    """A name that only looks alike is one among the others."""
    assert topic(name) is None


def test_the_cuda_of_ml_platform_is_found() -> None:
    """Each package of the real lock that belongs to one of the topics is found by its name."""
    found = read_packages(ROOT / "ml_platform/pixi.lock", "pixi.lock", "")[LockTarget("ml", "linux-64")]
    names = {
        title: {name for _, name in found if topic(name) == title} for title in ("CUDA", "Python", "ROOT", "TensorFlow")
    }
    assert {
        "__cuda",
        "cuda-version",
        "cuda-nvrtc",
        "cudnn",
        "libcublas",
        "libcudnn-dev",
        "libnvjitlink",
        "nccl",
    } <= names["CUDA"]
    assert names["Python"] == {"cpython", "python", "python_abi", "python-gil"}
    assert names["ROOT"] == {"root", "root_base", "root_cxx_standard"}
    assert {"tensorflow", "tensorflow-base", "tensorflow-gpu", "libtensorflow_cc", "keras"} <= names["TensorFlow"]


def test_sizes_add_up() -> None:
    """New packages must be downloaded; a package without a size counts as nothing, and is shown as unknown."""
    before = packages(package("kept", "1", size=500), package("a", "1", size=2_000_000), package("gone", "1", size=300))
    after = packages(package("kept", "1", size=500), package("a", "2", size=3_500_000), package("b", "1", size=None))
    (target,) = compare("small", "main", {LINUX: before}, {LINUX: after}).targets
    assert (target.download, target.size_before, target.size_after) == (3_500_000, 2_000_800, 3_500_500)
    assert summarize(target) == (
        "default on linux-64: 1 upgraded, 1 added, 1 removed; 3.5 MB to download, 3.5 MB in all (+1.5 MB)"
    )
    rows = report(LockDiff(image="small", previous="main", targets=(target,)), Format.MARKDOWN).splitlines()[-3:]
    assert [[cell.strip() for cell in row.strip("|").split("|")] for row in rows] == [
        ["a", "upgraded", "1", "2", "3.5 MB", "+1.5 MB"],
        ["b", "added", "", "1", "?", "?"],
        ["gone", "removed", "1", "", "", "-300 B"],
    ]


def test_environments_and_platforms_are_told_apart() -> None:
    """Each has changes of its own; those without any are not named, and new ones are all additions."""
    one = packages(package("a", "1"))
    two = packages(package("a", "2"))
    before = {LockTarget("default", "linux-64"): one, LockTarget("default", "osx-64"): one}
    after = {
        LockTarget("default", "linux-64"): one,
        LockTarget("default", "osx-64"): two,
        LockTarget("ml", "linux-64"): two,
    }
    diff = compare("small", "main", before, after)
    assert [(target.environment, target.platform, target.changes[0].change) for target in diff.targets] == [
        ("default", "osx-64", "upgraded"),
        ("ml", "linux-64", "added"),
    ]


def test_a_new_format_is_no_change(tmp_path: Path) -> None:
    """The virtual packages that format 7 lists were not added by writing the same lock again."""
    found = [conda("zlib-1.3.1-h0_0"), pypi("foo", "1.0")]
    platforms = "platforms:\n- name: linux-64\n  virtual-packages:\n  - __cuda=12.8\n"
    for name, text in (("6", write(found)), ("7", write(found, version=7, platforms=platforms))):
        (tmp_path / name).write_text(text)
    old, new = (read_packages(tmp_path / name, name, "") for name in ("6", "7"))
    assert compare("small", "main", old, new).targets == ()


def test_another_cuda_is_a_change(tmp_path: Path) -> None:
    """A change of virtual packages is listed like a package, if both locks have them; it is no download."""
    for cuda in ("12.6", "12.8"):
        platforms = f"platforms:\n- name: linux-64\n  virtual-packages:\n  - __cuda={cuda}\n"
        (tmp_path / cuda).write_text(write([conda("zlib-1-h_0")], version=7, platforms=platforms))
    old, new = (read_packages(tmp_path / cuda, cuda, "") for cuda in ("12.6", "12.8"))
    diff = compare("small", "main", old, new)
    line = report(diff, Format.MARKDOWN).splitlines()[-1]
    assert [cell.strip() for cell in line.strip("|").split("|")] == ["**__cuda**", "upgraded", "12.6", "12.8", "", ""]


def test_a_report_without_changes_is_a_sentence() -> None:
    """It names both locks."""
    diff = compare("small", "main", {LINUX: packages(package("a", "1"))}, {LINUX: packages(package("a", "1"))})
    assert report(diff, Format.TABLE) == "small/pixi.lock holds the same packages as the one of main\n"
    assert report(diff, Format.MARKDOWN) == report(diff, Format.TABLE)


def test_a_table_says_what_was_rebuilt() -> None:
    """For the same version, the build strings are shown."""
    before, after = packages(package("a", "1", "h_0")), packages(package("a", "1", "h_1"))
    text = report(compare("small", "main", {LINUX: before}, {LINUX: after}), Format.TABLE)
    assert text.startswith("default on linux-64: 1 rebuilt; 1.0 kB to download, 1.0 kB in all (+0 B)\n┏")
    assert "1 h_0" in text
    assert "1 h_1" in text


def test_markdown_is_for_a_pull_request() -> None:
    """A heading with image and reference, then a line and a table a place."""
    text = report(
        compare("small", "main", {LINUX: packages(package("python", "3.12"))}, {LINUX: packages()}), Format.MARKDOWN
    )
    heading, blank, line, *_ = text.splitlines()
    assert (heading, blank) == ("### `small`: packages changed since `main`", "")
    assert line.startswith("default on linux-64: 1 removed; ")
    assert "| **python** | removed |" in text


def test_json_has_everything() -> None:
    """Programs get versions, builds, sizes and the topic of each change."""
    before, after = packages(package("python", "3.12", size=None)), packages(package("python", "3.13"))
    found = json.loads(report(compare("small", "main", {LINUX: before}, {LINUX: after}), Format.JSON))
    assert (found["image"], found["previous"]) == ("small", "main")
    assert found["targets"][0]["changes"] == [
        {
            "name": "python",
            "kind": "conda",
            "change": "upgraded",
            "topic": "Python",
            "before": {"version": "3.12", "build": "h_0", "size": None},
            "after": {"version": "3.13", "build": "h_0", "size": 1000},
        }
    ]


def test_base_images_are_told_before_packages() -> None:
    """Each with both digests; without a change of packages they are the whole report."""
    changed = (BaseChange(reference="debian:12", before=f"sha256:{'1' * 64}", after=f"sha256:{'2' * 64}"),)
    diff = compare("small", "main", {}, {}, changed)
    lines = report(diff, Format.MARKDOWN).splitlines()
    cells = [cell.strip() for cell in lines[-1].strip("|").split("|")]
    assert cells == ["debian:12", f"sha256:{'1' * 12}", f"sha256:{'2' * 12}"]
    assert json.loads(report(diff, Format.JSON))["base_changes"] == [changed[0].model_dump()]
    both = report(compare("small", "main", {}, {LINUX: packages(package("a", "1"))}, changed), Format.TABLE)
    assert both.index("debian:12") < both.index("1 added")
