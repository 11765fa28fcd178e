"""An image to measure with: as many packages as one wants, of bytes that no compression makes fewer."""

import random
import shutil
import subprocess
from pathlib import Path
from typing import Final

from tests.engine.conftest import copy_module
from tests.sandbox.channel import index, package
from tests.sandbox.machine import Machine
from tests.sandbox.state import current

HERE: Final = Path(__file__).parent
IMAGE: Final = "synthetic"
#: Packages that get newer versions, and their bytes.
SMALL, LARGE = "package-small", "package-large"
SIZES: Final = {LARGE: 20_000_000, "package-large-2": 12_000_000, SMALL: 100_000}
#: The sizes of the others, one after the other: a few of middle size, many small ones.
OTHERS: Final = (3_000_000, *(60_000,) * 4, 200_000, *(30_000,) * 4)
SPEC: Final = """\
description = "Measured"
[[files]]
source = "settings"
path = "/usr/local/etc/settings"
"""
MANIFEST: Final = """\
[project]
name = "{image}"
channels = ["{channel}"]
platforms = ["linux-64"]

[dependencies]
"""


class Synthetic:
    """A channel of packages, and a checkout with an image that has all of them.

    Args:
        folder: of the checkout.
        name: of the channel, which nobody has seen before.
        count: how many packages there are.
    """

    def __init__(self, folder: Path, name: str, count: int) -> None:
        self.folder = folder
        self.name = name
        self.channel = current().folder / "channels" / name
        self.served = f"/srv/conda.anaconda.org/{name}"
        others = (f"package-{number:04}" for number in range(count - len(SIZES)))
        self.sizes = SIZES | {other: OTHERS[number % len(OTHERS)] for number, other in enumerate(others)}
        for package_ in self.sizes:
            self.add(package_, "1.0")
        self.serve()
        wanted = "".join(f'{package_} = "*"\n' for package_ in sorted(self.sizes))
        files = {
            "image.toml": SPEC,
            "pixi.toml": MANIFEST.format(image=IMAGE, channel=name) + wanted,
            "settings": "first\n",
            "Dockerfile": (HERE / "Dockerfile").read_text(),
        }
        self.image.mkdir(parents=True)
        for path, text in files.items():
            (self.image / path).write_text(text)
        copy_module(folder)

    @property
    def image(self) -> Path:
        """The image's folder."""
        return self.folder / IMAGE

    def add(self, name: str, version: str) -> None:
        """Write a version of a package; its bytes follow from its name and version."""
        content = random.Random(f"{self.name} {name} {version}").randbytes(self.sizes[name])  # noqa: S311  # no secret
        package.write(self.channel, name, version, "h_0", {f"share/{name}/data": content}, noarch="generic")

    def serve(self) -> None:
        """List the packages, and let the sandbox's server have them."""
        index.refresh(self.channel)
        inside("ln", "-sfn", str(self.channel), self.served)

    def remove(self) -> None:
        """Leave nothing of the channel."""
        inside("rm", "-f", self.served)
        shutil.rmtree(self.channel)


def inside(*command: str) -> None:
    """Run a command in the sandbox's machine."""
    subprocess.run(Machine(current()).command(list(command)), check=True, capture_output=True, timeout=60)
