"""Each image in each way of starting it, and what people do in it first: the table of docs/running.md."""

import tomllib
from collections.abc import Callable, Sequence
from typing import Final

import pytest

from tests.clients.site import ANYBODY, LOCKED, Site
from tests.engine.conftest import ROOT

#: The ways of starting a command in an image, as the table names them: the site, the image, options of `podman run`.
WAYS: Final[dict[str, Callable[[Site, str, Sequence[str]], list[str]]]] = {
    "Podman": lambda site, image, more: site.podman(image, *more),
    "Podman, strict": lambda site, image, more: site.podman(image, *LOCKED, f"--user={ANYBODY}:{ANYBODY}", *more),
    "OpenShift": lambda site, image, more: site.podman(image, *LOCKED, f"--user={ANYBODY}:0", *more),
    "Apptainer": lambda site, image, _: site.apptainer(image, "docker"),
    "SIF": lambda site, image, _: site.apptainer(image, "sif"),
    "CVMFS": lambda site, image, _: site.apptainer(image, "folder"),
}

#: Scripts for an image's own Python: each prints its row's name in the table when it has worked.
PYTHON: Final = "import sys; print(sys.version_info[:2] == (3, 12) and 'Python 3.12')"
IMPORTS: Final = "import importlib; print(all(map(importlib.import_module, {names})) and 'imports')"
ROOT_FILE: Final = """
import tempfile, uproot
with tempfile.TemporaryDirectory() as folder:
    with uproot.recreate(f"{folder}/a.root") as file:
        file["events"] = {"jets": [1.0, 2.0, 3.0]}
    with uproot.open(f"{folder}/a.root:events") as events:
        print(events["jets"].array().tolist() == [1.0, 2.0, 3.0] and "a ROOT file")
"""
TENSORFLOW: Final = """
import tensorflow
print(float(tensorflow.reduce_sum(tensorflow.ones((3, 3)))) == 9.0 and "TensorFlow")
"""
#: The images, as the table names them: their names, and what is asked of each. JupyterLab is asked for by HTTP.
IMAGES: Final = {
    "`columnar`": ("columnar", (PYTHON, IMPORTS, ROOT_FILE)),
    "`ml_platform`": ("ml_platform", (PYTHON, IMPORTS, ROOT_FILE, TENSORFLOW)),
    "a Dockerfile's": ("tiny", (PYTHON, IMPORTS)),
}
WITH_JUPYTER: Final = ("ml_platform",)
JUPYTER: Final = "JupyterLab"
ROWS: Final = ("Python 3.12", "imports", "a ROOT file", "TensorFlow", JUPYTER)
SEEN, NONE = "yes", "has none"

PORT: Final = 18888
#: Starts a server, the arguments behind a URL, and prints the page at that URL.
ASK: Final = """
url=$1
shift
"$@" > jupyter.log 2>&1 &
server=$!
if ! curl --silent --show-error --fail --retry 300 --retry-delay 1 --retry-all-errors "$url"; then
    cat jupyter.log >&2
    exit 1
fi
kill "$server"
wait "$server" || true
"""


def documented() -> dict[tuple[str, str], dict[str, str]]:
    """The table of docs/running.md: by image and way, the cell of each row."""
    lines = (ROOT / "docs/running.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    heads = next(row for row in rows if row[:2] == ["image", "asked for"])
    found: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        if row[0] in IMAGES:
            for way, cell in zip(heads[2:], row[2:], strict=True):
                found.setdefault((row[0], way), {})[row[1]] = cell
    return found


def imports(image: str) -> list[str]:
    """The modules that an image's own image.toml wants to be imported; of Python's own where it names none."""
    file = ROOT / image / "image.toml"
    return tomllib.loads(file.read_text())["probes"]["imports"] if file.exists() else ["sqlite3", "ssl"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("named", IMAGES)
def test_the_table_is_what_is_seen(site: Site, named: str, way: str) -> None:
    """Each thing that an image has works in every way of starting it, and the table says so, and what it has not."""
    image, asked = IMAGES[named]
    seen = dict.fromkeys(ROWS, NONE)
    script = "\n".join(asked).replace("{names}", str(imports(image)))
    printed = site.clients.run(*WAYS[way](site, image, ()), "python", "-c", script).splitlines()
    seen |= {name: SEEN for name in printed if name in ROWS}
    if image in WITH_JUPYTER:
        start = WAYS[way](site, image, [f"--publish=127.0.0.1:{PORT}:{PORT}"])
        server = [*start, "start-jupyter", str(PORT), "--IdentityProvider.token=asked"]
        page = site.clients.run("sh", "-euc", ASK, "sh", f"http://127.0.0.1:{PORT}/lab?token=asked", *server)
        seen |= {JUPYTER: SEEN} if "<title>JupyterLab</title>" in page else {}
    assert documented()[named, way] == seen
