"""Draw packages as a map of tiles, a tile as large as its package is, the tiles of a layer beside each other.

matplotlib draws, squarify says where. Colours, light and dark, are the page's: the drawing has classes for them.
"""

import io
import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET

import matplotlib as mpl
import squarify
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from matplotlib.textpath import TextToPath

SVG: Final = "http://www.w3.org/2000/svg"
#: Sizes of a tile's name, in pixels: the first one that it fits in is taken.
FONTS: Final = (15, 12, 10, 8)
#: Pixels between layers, around a name, and of the line that names a layer.
GAP, PADDING, HEADING = 2.0, 3.0, 13.0
#: Letters of a name below which the rest is not cut off: it would say nothing.
LEAST: Final = 5
#: Characters that XML cannot hold, however they are written.
_NO_XML: Final = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Tile:
    """One package on the map."""

    name: str
    size: int
    layer: str
    topic: str
    """Names the colour."""
    title: str
    """What is shown where somebody points at it."""


@dataclass(frozen=True)
class Box:
    """A rectangle, from its upper left corner."""

    x: float
    y: float
    width: float
    height: float

    def inside(self, gap: float, heading: float = 0) -> "Box":
        """The rectangle without its edge, and without the line at its top."""
        width, height = self.width - 2 * gap, self.height - 2 * gap - heading
        return Box(self.x + gap, self.y + gap + heading, max(width, 0.1), max(height, 0.1))


def lay_out[T](sizes: Sequence[tuple[T, int]], box: Box) -> list[tuple[T, Box]]:
    """Where each of some things is in a box, the largest first."""
    ordered = sorted(sizes, key=lambda pair: pair[1], reverse=True)
    scaled = squarify.normalize_sizes([size for _, size in ordered], box.width, box.height)
    places = squarify.squarify(scaled, box.x, box.y, box.width, box.height)
    return [
        (thing, Box(place["x"], place["y"], place["dx"], place["dy"]))
        for (thing, _), place in zip(ordered, places, strict=True)
    ]


def draw(tiles: Iterable[Tile], width: int, height: int, label: str) -> str:
    """The map, as an SVG element to put into a page; empty where no tile has a size.

    Args:
        tiles: what is on it; one without a size is left out.
        width: in pixels.
        height: in pixels.
        label: what a screen reader says of it.
    """
    layers: dict[str, list[Tile]] = {}
    for tile in tiles:
        if tile.size > 0:
            layers.setdefault(tile.layer, []).append(tile)
    if not layers:
        return ""
    with (
        # Text stays text, and the same map is the same bytes.
        mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "", "font.family": "sans-serif"}),
        warnings.catch_warnings(),
    ):
        # A name may have letters that the font, by which it is measured, lacks.
        warnings.simplefilter("ignore", UserWarning)
        return _draw(layers, width, height, label)


def _draw(layers: dict[str, list[Tile]], width: int, height: int, label: str) -> str:
    figure = Figure(figsize=(width / 72, height / 72), dpi=72)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    drawn: list[Tile] = []

    def write(text: str, box: Box, sizes: Sequence[int], gid: str) -> None:
        if fitted := fit(text, box, sizes):
            shown, size = fitted
            axes.text(
                box.x + box.width / 2, box.y + box.height / 2, shown,
                fontsize=size, ha="center", va="center_baseline", parse_math=False, gid=gid, clip_on=False,
            )  # fmt: skip

    whole = Box(0, 0, width, height)
    sizes = [(name, sum(tile.size for tile in members)) for name, members in layers.items()]
    for layer, outer in lay_out(sizes, whole):
        members = layers[layer]
        named = len(members) > 1 and outer.height > 3 * HEADING
        if named:
            heading = Box(outer.x, outer.y, outer.width, HEADING).inside(GAP / 2)
            write(f"{layer} · {len(members)} packages", heading, (10, 8), "heading")
        for tile, box in lay_out(
            [(tile, tile.size) for tile in members], outer.inside(GAP / 2, HEADING if named else 0)
        ):
            axes.add_patch(Rectangle((box.x, box.y), box.width, box.height, gid=f"tile-{len(drawn)}", clip_on=False))
            write(tile.name, box, FONTS, "name")
            drawn.append(tile)
    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    return _for_page(text.getvalue(), drawn, label)


def fit(text: str, box: Box, sizes: Sequence[int]) -> tuple[str, int] | None:
    """A text as far as it fits into a box, and its size; None where too little of it does."""
    text = _NO_XML.sub("\N{REPLACEMENT CHARACTER}", text)
    room = box.width - 2 * PADDING
    fitting = [size for size in sizes if size + 2 <= box.height]
    for size in fitting:
        if _width(text, size) <= room:
            return text, size
    if fitting:
        count = int(len(text) * room / max(_width(text, fitting[-1]), 1)) - 1
        if count >= LEAST:
            return f"{text[:count]}…", fitting[-1]
    return None


def _width(text: str, size: int) -> float:
    measured: tuple[float, float, float] = TextToPath().get_text_width_height_descent(
        text, FontProperties(size=size), ismath=False
    )
    return measured[0]


def _for_page(svg: str, tiles: Sequence[Tile], label: str) -> str:
    """What matplotlib drew, without what would reach out of the map, and with a class for whatever has a colour."""
    ET.register_namespace("", SVG)
    root = ET.fromstring(svg)  # noqa: S314  # matplotlib wrote it
    for parent in list(root.iter()):
        for child in list(parent):
            # The style is for all of a page, and the metadata is an address.
            if child.tag.rpartition("}")[2] in {"metadata", "style"}:
                parent.remove(child)
    for element in root.iter():
        gid = element.attrib.pop("id", "")
        if gid.startswith("tile-"):
            tile = tiles[int(gid.removeprefix("tile-"))]
            element.set("class", f"tile {tile.topic.lower()}".rstrip())
            element.set("data-name", _NO_XML.sub("\N{REPLACEMENT CHARACTER}", tile.name))
            ET.SubElement(element, f"{{{SVG}}}title").text = _NO_XML.sub("\N{REPLACEMENT CHARACTER}", tile.title)
            for path in element.findall(f"{{{SVG}}}path"):
                path.attrib.pop("style", None)
        elif gid in {"name", "heading"}:
            element.set("class", gid)
            for part in element.iter(f"{{{SVG}}}text"):
                part.set("style", re.sub(r"fill: [^;]+;?", "", part.get("style", "")))
    for name in ("width", "height"):
        root.attrib.pop(name, None)
    root.attrib |= {"role": "img", "aria-label": label}
    return ET.tostring(root, encoding="unicode")
