"""The folders of an environment's Python packages, whatever links its packages bring."""

import json
from pathlib import Path

import pytest

from pipeline.scripts import folders

STDLIB = "lib/python3.12"
SITE = f"{STDLIB}/site-packages"


def install(prefix: Path, *names: str, site: str = SITE) -> None:
    """Install Python packages."""
    for name in names:
        (prefix / site / f"{name}-1.dist-info").mkdir(parents=True)
        (prefix / site / f"{name}-1.dist-info/RECORD").write_text("")


def link(prefix: Path, path: str, target: str) -> None:
    """Make a link, and the folder that it is in."""
    (prefix / path).parent.mkdir(parents=True, exist_ok=True)
    (prefix / path).symlink_to(target)


def found(prefix: Path, *owned: str) -> list[str]:
    """The Python packages that are found, by the paths of their RECORDs."""
    return [path.relative_to(prefix).as_posix() for path in folders.wheels(prefix, "RECORD", owned)]


@pytest.mark.parametrize("name", ["python3.1", "python3.999", "python3"])
def test_a_link_to_python_s_folder_is_no_folder(tmp_path: Path, name: str) -> None:
    """A package that is reached by the link too is there once, and one of conda stays conda's."""
    install(tmp_path, "ours", "condas")
    link(tmp_path, f"lib/{name}", "python3.12")
    assert found(tmp_path, f"{SITE}/condas-1.dist-info/RECORD") == [f"{SITE}/ours-1.dist-info/RECORD"]


def test_a_file_that_conda_names_by_a_link_is_conda_s(tmp_path: Path) -> None:
    """A package's list may say another path than the one that is found."""
    install(tmp_path, "ours", "condas")
    link(tmp_path, "lib64", "lib")
    assert found(tmp_path, "lib64/python3.12/site-packages/condas-1.dist-info/RECORD") == [
        f"{SITE}/ours-1.dist-info/RECORD"
    ]


def test_packages_behind_a_link_are_found(tmp_path: Path) -> None:
    """If site-packages is a link, by the path that Python knows it by: RECORDs are relative to it."""
    install(tmp_path, "ours", site="share/modules")
    link(tmp_path, SITE, "../../share/modules")
    link(tmp_path, "lib/python3.1", "python3.12")
    assert found(tmp_path) == [f"{SITE}/ours-1.dist-info/RECORD"]


def test_metadata_behind_a_link_is_there_once(tmp_path: Path) -> None:
    """A `.dist-info` that is a link to another one is no package of its own."""
    install(tmp_path, "ours")
    link(tmp_path, f"{SITE}/Ours-1.dist-info", "ours-1.dist-info")
    assert len(found(tmp_path)) == 1


def test_a_free_threaded_python_has_a_folder_of_its_own(tmp_path: Path) -> None:
    """Its name ends with a letter."""
    install(tmp_path, "ours", site="lib/python3.13t/site-packages")
    assert found(tmp_path) == ["lib/python3.13t/site-packages/ours-1.dist-info/RECORD"]


def test_python_says_where_its_packages_are(tmp_path: Path) -> None:
    """Its record has the path, in some builds; there is one Python, and others of its name are no Python."""
    install(tmp_path, "ours", site="share/site-packages")
    (tmp_path / "conda-meta").mkdir()
    for name, record in {
        "python-3.14.0-h_0": {"python_site_packages_path": "share/site-packages"},
        "python-x-1-0": {},
    }.items():
        (tmp_path / f"conda-meta/{name}.json").write_text(json.dumps(record))
    assert found(tmp_path) == ["share/site-packages/ours-1.dist-info/RECORD"]


def test_what_is_outside_is_not_looked_at(tmp_path: Path) -> None:
    """A link may lead out of the environment, or nowhere."""
    install(tmp_path, "theirs", site="system/site-packages")
    link(tmp_path / "env", SITE, "../../../system/site-packages")
    link(tmp_path / "env", "lib/python3.1/site-packages", "/nowhere")
    assert found(tmp_path / "env") == []


def test_paths_lose_the_links_that_they_lead_through(tmp_path: Path) -> None:
    """Not those that they name themselves; what is not there stays as it is written."""
    (tmp_path / "lib/real").mkdir(parents=True)
    link(tmp_path, "lib/alias", "real")
    link(tmp_path, "lib64", "lib")
    paths = ["lib64/alias/a", "lib/alias", "lib64", "gone/b", "lib/alias/gone/c", "top"]
    assert folders.real_paths(tmp_path, paths) == [
        "lib/real/a",
        "lib/alias",
        "lib64",
        "gone/b",
        "lib/real/gone/c",
        "top",
    ]
