"""A checkout in a temporary folder, to change one thing in."""

import shutil
from pathlib import Path
from textwrap import dedent

import pytest
from dagger import dag

from pipeline.checkout import ImageSource
from pipeline.config.image_toml import ImageSpec
from pipeline.config.settings import Settings

LOCK = """
version: 6
environments:
  default:
    channels:
    - url: https://conda.anaconda.org/conda-forge/
    packages:
      linux-64:
      - conda: https://conda.anaconda.org/conda-forge/linux-64/python-3.12.1-h0_0.conda
      - conda: https://conda.anaconda.org/conda-forge/linux-64/zlib-1.3.1-h0_0.conda
packages:
- conda: https://conda.anaconda.org/conda-forge/linux-64/python-3.12.1-h0_0.conda
  sha256: 0000000000000000000000000000000000000000000000000000000000000001
  depends: []
- conda: https://conda.anaconda.org/conda-forge/linux-64/zlib-1.3.1-h0_0.conda
  sha256: 0000000000000000000000000000000000000000000000000000000000000002
  depends: []
"""


class CheckoutFolder:
    """A checkout with the image ``small``, whose files a test writes over."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.image = path / "small"
        self.write("pyproject.toml", "[project]\nname = 'checkout'\n")
        self.write("small/image.toml", "description = 'A small image'\n")
        self.write("small/pixi.toml", '[workspace]\nchannels = ["conda-forge"]\n[dependencies]\npython = "3.12.*"\n')
        self.write("small/pixi.lock", LOCK)

    def write(self, name: str, text: str) -> None:
        """Write one file of the checkout."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text).lstrip("\n"), encoding="utf-8")

    def source(self, spec: ImageSpec, settings: Settings | None = None) -> ImageSource:
        """The image with another image.toml than the one that is written."""
        return ImageSource("small", spec, self.image, dag.directory(), settings or Settings())

    def remove(self, name: str) -> None:
        """Remove a file or a folder of the checkout."""
        path = self.path / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.fixture
def checkout(tmp_path: Path) -> CheckoutFolder:
    """A checkout with one good image."""
    return CheckoutFolder(tmp_path)
