"""Draw packages as a treemap: a tile is as large as its package, and the tiles of a layer are adjacent.

squarify computes the layout, matplotlib draws it. The page defines the colours, light and dark, by the tiles' classes.
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
#: Font sizes of a tile's name, in pixels; the first that fits is used.
FONTS: Final = (15, 12, 10, 8)
#: Pixels between layers, around a name, and of a layer's heading.
GAP, PADDING, HEADING = 2.0, 3.0, 13.0
#: Minimum number of letters of a shortened name.
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
    """The topic, which determines the colour."""
    title: str
    """The tooltip."""


@dataclass(frozen=True)
class Box:
    """A rectangle by its upper left corner and its size."""

    x: float
    y: float
    width: float
    height: float

    def inside(self, gap: float, heading: float = 0) -> "Box":
        """Return the rectangle without a margin, and without a heading at its top."""
        width, height = self.width - 2 * gap, self.height - 2 * gap - heading
        return Box(self.x + gap, self.y + gap + heading, max(width, 0.1), max(height, 0.1))


def lay_out[T](sizes: Sequence[tuple[T, int]], box: Box) -> list[tuple[T, Box]]:
    """Divide a box among items by their sizes, the largest first."""
    ordered = sorted(sizes, key=lambda pair: pair[1], reverse=True)
    scaled = squarify.normalize_sizes([size for _, size in ordered], box.width, box.height)
    rectangles = squarify.squarify(scaled, box.x, box.y, box.width, box.height)
    return [
        (item, Box(rectangle["x"], rectangle["y"], rectangle["dx"], rectangle["dy"]))
        for (item, _), rectangle in zip(ordered, rectangles, strict=True)
    ]


def draw(tiles: Iterable[Tile], width: int, height: int, label: str) -> str:
    """Draw the map as an SVG element for a page; empty if no tile has a size.

    Args:
        tiles: the tiles; one without a size is left out.
        width: width in pixels.
        height: height in pixels.
        label: description for screen readers.
    """
    layers: dict[str, list[Tile]] = {}
    for tile in tiles:
        if tile.size > 0:
            layers.setdefault(tile.layer, []).append(tile)
    if not layers:
        return ""
    with (
        # Text stays text, and the same map gives the same bytes.
        mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "", "font.family": "sans-serif"}),
        warnings.catch_warnings(),
    ):
        # matplotlib warns about letters that its font, which measures the names, lacks.
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
    """Return a text, shortened to fit into a box, and its font size; None if too little of it fits."""
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
    """Return matplotlib's SVG without parts that affect the rest of a page, and with classes for the colours."""
    ET.register_namespace("", SVG)
    root = ET.fromstring(svg)  # noqa: S314  # matplotlib wrote it
    for parent in list(root.iter()):
        for child in list(parent):
            # The style would apply to the whole page, and the metadata has only an address.
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
