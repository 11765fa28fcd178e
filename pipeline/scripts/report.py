"""Draw the page about an image: one HTML file that needs nothing else.

Usage: python -m pipeline.scripts.report PAGE OUTPUT. PAGE is a JSON object with the keys of `pipeline.page.Page`. The
same page gives the same bytes. Names, versions and licences are not trusted: all of them are escaped.
"""

import base64
import hashlib
import json
import sys
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline.scripts.sizes import size
from pipeline.scripts.treemap import Tile, draw

HERE: Final = Path(__file__).parent
#: Size of the map in pixels: for a desktop screen, and for a phone.
WIDE: Final = (1120, 560)
NARROW: Final = (360, 640)
#: Topics with a colour of their own, in the order of the legend; the empty one is all other packages.
TOPICS: Final = ("CUDA", "Python", "ROOT", "TensorFlow", "")


def tile(package: dict[str, Any]) -> Tile:
    """Return the tile of a package on the map."""
    title = f"{package['name']} {package['version']}: {size(package['size'])}, layer {package['layer']}"
    return Tile(package["name"], package["size"] or 0, package["layer"], package["topic"], title)


def maps(page: dict[str, Any]) -> list[Markup]:
    """Draw the map of sizes for a wide and for a narrow window; none if no size is known."""
    tiles = [tile(package) for package in page["packages"]]
    largest = ", ".join(f"{package['name']} {size(package['size'])}" for package in page["packages"][:5])
    label = f"Map of the sizes of {len(tiles)} packages in {len(page['layers'])} layers; the largest are {largest}"
    drawn = [draw(tiles, width, height, label) for width, height in (WIDE, NARROW)]
    # The markup is matplotlib's, in which every name is escaped.
    return [Markup(svg) for svg in drawn if svg]  # noqa: S704


def render(page: dict[str, Any]) -> str:
    """Render the page."""
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["size"] = size
    style, script = ((HERE / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    known = [package["size"] for package in page["packages"] if package["size"] is not None]
    counts = {topic: sum(package["topic"] == topic for package in page["packages"]) for topic in TOPICS}
    return environment.get_template("report.html").render(
        page=page,
        maps=maps(page),
        known=len(known),
        total=sum(known),
        legend=[topic for topic in TOPICS if counts[topic]],
        style=Markup(style),  # noqa: S704  # of this folder
        script=Markup(script),  # noqa: S704  # of this folder
        # Whatever a name injects into this page, a browser runs this script and no other, and loads nothing.
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def main(page: str, output: str) -> int:
    """Run as a command; see the module's docstring."""
    Path(output).write_text(render(json.loads(Path(page).read_text(encoding="utf-8"))), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
