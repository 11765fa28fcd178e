"""The parts of the site, and the check of the documents."""

import re
import subprocess
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from tests.documents.markdown import documents
from tests.documents.site import CONFIGURATION, copy_pages

CHECKOUT = Path(__file__).parents[3]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with two pages and a file that is no page."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("[a](docs/a.md) [b](dev) [c](docs) ![d](docs/d.svg)\n", encoding="utf-8")
    (tmp_path / "docs/a.md").write_text("# A\n\n[back](../README.md#x) [dev](../dev)\n", encoding="utf-8")
    (tmp_path / "docs/d.svg").write_text("<svg/>", encoding="utf-8")
    (tmp_path / "dev").touch()
    (tmp_path / "pyproject.toml").write_text('[project]\nurls = { Repository = "https://git.example/r" }\n')
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    return tmp_path


def test_files_that_are_no_pages_are_linked_where_the_code_is(checkout: Path, tmp_path: Path) -> None:
    """Links between pages stay; files and folders of the repository are on GitHub."""
    copy_pages(checkout, tmp_path / "pages")
    assert (tmp_path / "pages/README.md").read_text() == (
        "[a](docs/a.md) [b](https://git.example/r/blob/main/dev) [c](https://git.example/r/tree/main/docs)"
        " ![d](docs/d.svg)\n"
    )
    assert (tmp_path / "pages/docs/a.md").read_text() == (
        "# A\n\n[back](../README.md#x) [dev](https://git.example/r/blob/main/dev)\n"
    )
    assert (tmp_path / "pages/docs/d.svg").exists()


def test_every_document_is_in_the_navigation() -> None:
    """A page that nobody can find is as good as none."""
    listed = re.findall(r": (\S+\.md)$", (CHECKOUT / CONFIGURATION).read_text(), re.MULTILINE)
    pages = {str(file.relative_to(CHECKOUT)) for file in documents(CHECKOUT)}
    wanted = {page for page in pages if page.startswith("docs/") or page in listed}
    assert set(listed) == wanted
    assert len(listed) == len(set(listed))


def test_the_site_has_no_plugin_and_no_font() -> None:
    """Its pages load nothing from other hosts, and another generator could build them."""
    configuration = yaml.safe_load((CHECKOUT / CONFIGURATION).read_text())
    assert configuration["theme"]["font"] is False
    assert "plugins" not in configuration


def test_the_first_page_is_short() -> None:
    """README has at most 900 words."""
    assert len((CHECKOUT / "README.md").read_text(encoding="utf-8").split()) <= 900


def test_decisions_are_numbered_and_dated() -> None:
    """Each has the next number, and a date that is not before the one above it."""
    text = (CHECKOUT / "docs/decisions.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    found = re.findall(r"^## (\d+)\. .+\n\n\*(\d{4}-\d\d-\d\d)\.\* ", text, re.MULTILINE)
    assert len(found) == len(headings)
    assert [int(number) for number, _ in found] == list(range(1, len(found) + 1))
    assert all(earlier <= later for (_, earlier), (_, later) in pairwise(found))


def test_the_architecture_has_the_rooms_of_the_contract() -> None:
    """The table of rooms has the floors that lint holds, from top to bottom."""
    contracts = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(each["layers"] for each in contracts if each["type"] == "layers")
    wanted = [(floor, room) for floor, layer in enumerate(layers, 1) for room in layer.split(" | ")]
    text = (CHECKOUT / "docs/architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| `([a-z_]+)(?:/|\.py)` \|", text, re.MULTILINE)
    assert sorted((int(floor), room) for floor, room in rows) == sorted(wanted)


def test_the_modules_of_the_diagram_are_there() -> None:
    """A module that is renamed is renamed in the picture as well."""
    drawing = (CHECKOUT / "docs/architecture.svg").read_text(encoding="utf-8")
    names = " ".join(re.findall(r"monospace[^>]*>([^<]+)<", drawing)).split()
    assert len(names) > 20
    known = [CHECKOUT / "pipeline" / name for name in names]
    assert [each for each in known if not each.is_dir() and not each.with_suffix(".py").exists()] == []
