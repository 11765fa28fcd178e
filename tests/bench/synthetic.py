"""Images to measure with: as many packages as one wants, of bytes that no compression makes fewer."""

import random
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.engine.conftest import copy_module
from tests.sandbox import inventory
from tests.sandbox.channel import index, package
from tests.sandbox.contents import OVERLAY
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
[probes]
scripts = []
[[probes.files]]
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
    """A channel of packages, and a checkout with images that have them.

    Args:
        folder: of the checkout.
        name: of the channel, which nobody has seen before.
        count: how many packages there are.
        images: how many images there are; each but the first lacks a small package that the others have.
    """

    def __init__(self, folder: Path, name: str, count: int, images: int = 1) -> None:
        self.folder = folder
        self.name = name
        self.channel = current().folder / "channels" / name
        self.served = f"/srv/conda.anaconda.org/{name}"
        others = [f"package-{number:04}" for number in range(count - len(SIZES))]
        self.sizes = SIZES | {other: OTHERS[number % len(OTHERS)] for number, other in enumerate(others)}
        for package_ in self.sizes:
            self.add(package_, "1.0")
        self.serve()
        self.images = [IMAGE, *(f"{IMAGE}-{number}" for number in range(1, images))]
        copy_module(folder)
        for image, left_out in zip(self.images, ["", *others[1:]], strict=False):
            wanted = "".join(f'{package_} = "*"\n' for package_ in sorted(self.sizes) if package_ != left_out)
            self.write(image, {"pixi.toml": MANIFEST.format(image=image, channel=name) + wanted})
            self.lock(image)

    def write(self, image: str, files: Mapping[str, str]) -> None:
        """Write an image's folder."""
        write_image(self.folder / image, SPEC, files)

    def lock(self, image: str = IMAGE) -> None:
        """Lock the newest packages, by the pixi of the sandbox."""
        (self.folder / image / "pixi.lock").unlink(missing_ok=True)
        parts = inventory.load(current(), inventory.key())
        assert parts is not None, "the bench runs by ./dev, which makes all parts"
        manifest = f"--manifest-path={self.folder / image / 'pixi.toml'}"
        certificates = ["env", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt", "PIXI_CACHE_DIR=/tmp/bench-pixi"]
        inside(*certificates, str(parts.pixi / "bin" / "pixi"), "list", "--no-install", manifest)

    def change(self, name: str) -> None:
        """Publish a newer version of a package, and lock it."""
        self.add(name, "2.0")
        self.serve()
        self.lock()

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


def ml_platform(folder: Path) -> str:
    """Make a checkout with ml_platform as the sandbox has it; its name."""
    copy_module(folder)
    image = OVERLAY / "ml_platform"
    spec = 'description = "Measured"\nenvironment = "ml"\ncuda = "12.8"\n' + SPEC.partition("\n")[2]
    files = {name: (current().overlay / image.name / name).read_text() for name in ("pixi.toml", "pixi.lock")}
    write_image(folder / image.name, spec, files)
    return image.name


def write_image(folder: Path, spec: str, files: Mapping[str, str]) -> None:
    """Write an image's folder for both builders."""
    folder.mkdir(parents=True, exist_ok=True)
    own = {"image.toml": spec, "settings": "first\n", "Dockerfile": (HERE / "Dockerfile").read_text()}
    for path, text in (own | dict(files)).items():
        (folder / path).write_text(text)


def inside(*command: str) -> None:
    """Run a command in the sandbox's machine."""
    subprocess.run(Machine(current()).command(list(command)), check=True, capture_output=True, timeout=60)
