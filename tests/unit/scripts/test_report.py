"""The page as a file: small, whole, and safe whatever packages are called."""

import re
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from pipeline.locks.lockfile import Package
from pipeline.page import Repository, Tag
from pipeline.scripts.report import render
from pipeline.scripts.treemap import SVG, Box, Tile, draw, fit, lay_out
from tests.unit.pages import package, page, real

NASTY = "<script>alert('x')</script>&\"$x^2$\x00é漢"
#: Attributes that make a browser load or run something.
LOADING = {"src", "srcset", "poster", "action", "formaction", "data", "background", "ping", "xlink:href"}


class Parsed(HTMLParser):
    """The elements of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of each element of a kind."""
        return [attributes for found, attributes in self.tags if found == tag]


@pytest.fixture(scope="module")
def whole() -> str:
    """A page of 600 packages, those of ml_platform among them."""
    packages = [*real(), *(package(f"another-{number}", 100_000 + number) for number in range(96))]
    return render(page(packages, packages[:-50]))


def test_600_packages_are_a_small_page(whole: str) -> None:
    """Below 2 MB, with a row and two tiles for each."""
    assert len(whole.encode()) < 2_000_000
    assert "<dd>600</dd>" in whole
    assert whole.count('class="tile') == 2 * 600


def test_the_same_page_is_the_same_bytes() -> None:
    """No time and no random id is in it."""
    content = page([package("a"), package("b")], [])
    assert render(content) == render(content)


def test_the_page_loads_nothing(whole: str) -> None:
    """No element of it names an address, and a policy forbids the browser to load anything."""
    found = Parsed(whole)
    for tag, attributes in found.tags:
        assert not LOADING & attributes.keys(), tag
        assert not any(name.startswith("on") for name in attributes), tag
        assert (attributes.get("href") or "#").startswith(("#", "data:,")), tag
        assert "url(" not in (attributes.get("style") or ""), tag
    policy = next(each["content"] for each in found.all("meta") if "http-equiv" in each)
    assert str(policy).startswith("default-src 'none'; ")


@pytest.mark.parametrize("field", ["name", "version", "build", "license"])
def test_others_words_stay_words(field: str) -> None:
    """A package's fields are never markup, in the table, the map or the changes."""
    text = render(page([package(**{"name": "a", **dict[str, Any]({field: NASTY})})], []))
    assert len(Parsed(text).all("script")) == 1
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text


def test_tables_can_be_sorted_and_are_named() -> None:
    """Each table has a region with a name, headers with a scope, and buttons in those that sort."""
    text = render(page([package("a"), package("b", 2000)], [package("a", version="0.9", sha256="b")]))
    found = Parsed(text)
    tables = [each["id"] for each in found.all("table") if "id" in each]
    assert tables == ["layers-table", "packages-table", "probes-table", "changes-table"]
    assert all(each.get("scope") in {"col", "row"} for each in found.all("th"))
    regions = [each for each in found.all("div") if each.get("class") == "table"]
    assert all(each["role"] == "region" and each["tabindex"] == "0" and each["aria-label"] for each in regions)
    assert {"for": "search"} in found.all("label")
    assert len(found.all("button")) == 3 + 5 + 5 + 5
    assert all(each["role"] == "img" and each["aria-label"] for each in found.all("svg"))


def test_ids_are_there_once(whole: str) -> None:
    """Two maps are on the page, and share no ids."""
    ids = [attributes["id"] for _, attributes in Parsed(whole).tags if "id" in attributes]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("packages", "sentences"),
    [
        ([], ["The lock has no packages.", "The lock has no packages for this environment and platform."]),
        ([package("a", None)], ["The lock has no sizes of its packages."]),
        (
            [package("a"), package("b", None, license=None)],
            ["The lock has no size for 1 of the packages.", ">unknown<", "1 layer with at least 1.0 kB"],
        ),
        ([package("a")], ["Since v1: ml on linux-64: 1 added", "1 layer with 1.0 kB", 'class="tile"']),
    ],
    ids=["none", "no size", "some", "one"],
)  # fmt: skip
def test_every_lock_gives_a_page(packages: list[Package], sentences: list[str]) -> None:
    """Nothing locked, nothing known, and a single package."""
    text = render(page(packages, []))
    assert [sentence for sentence in sentences if sentence not in text] == []


def test_what_is_not_known_is_said() -> None:
    """No probes, no previous lock, a registry that does not answer and one with nothing."""
    text = render(page([package("a")], probes=None))
    assert "The image was not started for this page." in text
    assert "No previous lock was named." in text
    assert "Its tags are unknown: reading the tags failed: it did not answer" in text
    assert "3 more tags." in text


def test_an_image_of_a_dockerfile_has_no_packages() -> None:
    """The page says so, and shows the rest."""
    text = render(page([], dockerfile=True))
    assert text.count("The image is built from a Dockerfile") == 3
    assert "docker run" in text
    assert "exited with 3" in text
    assert "sha256:0123456789abcdef" in text


def test_tiles_are_as_large_as_their_packages() -> None:
    """They fill the box, and their areas are in proportion."""
    found = dict(lay_out([("a", 1), ("b", 3), ("c", 4)], Box(0, 0, 80, 10)))
    assert {name: round(box.width * box.height) for name, box in found.items()} == {"a": 100, "b": 300, "c": 400}


def test_a_map_is_one_element_with_nothing_beside_it() -> None:
    """No style that would reach other parts of the page, no id, and a title for each tile."""
    tiles = [Tile(f"p{n}", 100 - n, f"layer {n % 3}", "CUDA" if n == 0 else "", f"package {n}") for n in range(60)]
    root = ET.fromstring(draw(tiles, 600, 300, "A map"))  # noqa: S314  # our own
    assert root.get("aria-label") == "A map"
    assert not any("id" in element.attrib for element in root.iter())
    assert {element.tag for element in root.iter()} <= {
        f"{{{SVG}}}{tag}" for tag in ("svg", "g", "path", "text", "title", "defs")
    }
    groups = [element for element in root.iter() if "tile" in element.get("class", "").split()]
    assert sorted(str(each.findtext(f"{{{SVG}}}title")) for each in groups) == sorted(tile.title for tile in tiles)
    assert [each.get("data-name") for each in groups if "cuda" in each.get("class", "")] == ["p0"]
    assert any("layer 0 · 20 packages" in "".join(element.itertext()) for element in root.iter())


def test_a_map_of_nothing_is_none() -> None:
    """A tile without a size cannot be drawn."""
    assert draw([Tile("a", 0, "", "", "")], 600, 300, "") == ""


def test_a_name_is_cut_or_left_out() -> None:
    """It is cut, or left out if it does not fit in any size."""
    assert fit("tensorflow", Box(0, 0, 300, 60), (15, 8)) == ("tensorflow", 15)
    shown = fit("tensorflow-with-a-long-name", Box(0, 0, 60, 60), (15, 8))
    assert shown is not None
    assert re.fullmatch(r"tensor.*…", shown[0])
    assert fit("tensorflow", Box(0, 0, 12, 60), (15, 8)) is None
    assert fit("tensorflow", Box(0, 0, 300, 6), (15, 8)) is None


def test_the_digest_of_a_sif_stands_beside_its_image() -> None:
    """A repository without one has no column for it."""
    tags = [Tag(name="2026.2.0", digest="sha256:1", sif="sha256:2"), Tag(name="main", digest="sha256:3")]
    with_sif = Repository(name="ghcr.io/lab/small", tags=tuple(tags))
    text = render(page([package("a")], repositories=(with_sif,)))
    assert '<td class="digest">sha256:1</td><td class="digest">sha256:2</td>' in text
    assert '<td class="digest">sha256:3</td><td class="digest"></td>' in text
    without = Repository(name="ghcr.io/lab/small", tags=tuple(tags[1:]))
    assert "Digest of the SIF" not in render(page([package("a")], repositories=(without,)))
