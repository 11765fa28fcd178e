"""``./dev bench``: builds an image by the pipeline and from a Dockerfile, changes it, and builds it again."""
# ruff: noqa: T201 -- a command line prints

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from pipeline.tables import draw_markdown
from tests.bench.figures import COLOURS, Figure, plot, summarize, table
from tests.bench.synthetic import IMAGE, LARGE, SMALL, Synthetic
from tests.engine.oci import Archive

#: What is done before each build, in this order.
CASES = ("cold", "unchanged", "changed file", "changed small package", "changed large package")
#: Commands of the Dagger CLI that give the image as a container.
BUILDERS = {
    "pipeline": ("call", "build", "--image", IMAGE),
    "Dockerfile": ("core", "host", "directory", "--path", IMAGE, "docker-build"),
}
COLUMNS = ("build", "pipeline", "Dockerfile", "ratio", "pushed", "by the Dockerfile", "ratio of bytes")


class Bench:
    """One run: both builders make the image after each change, asked by the same command line."""

    def __init__(self, synthetic: Synthetic, scratch: Path) -> None:
        self.synthetic = synthetic
        self.archive = Archive(scratch / "image.tar")
        self.there: dict[str, dict[str, int]] = {name: {} for name in COLOURS}
        """The layers of each builder's images so far, with their bytes: what a registry has."""

    def run(self) -> list[Figure]:
        """Measure all cases."""
        # The module is installed at its first call, whatever that is.
        self.dagger("call", "images")
        figures = []
        for case in CASES:
            self.prepare(case)
            for builder in COLOURS:
                figures.append(self.measure(case, builder))
                print(f"{case}: {builder} took {figures[-1].seconds:.1f} s", file=sys.stderr)
        return figures

    def prepare(self, case: str) -> None:
        """Make the change that a case is about."""
        if case == "changed file":
            (self.synthetic.image / "settings").write_text("second\n")
        elif case != "unchanged":
            for name in (SMALL, LARGE):
                if name.removeprefix("package-") in case:
                    self.synthetic.add(name, "2.0")
                    self.synthetic.serve()
            (self.synthetic.image / "pixi.lock").unlink(missing_ok=True)
            self.dagger("--auto-apply", "call", "lock", "--image", IMAGE)

    def measure(self, case: str, builder: str) -> Figure:
        """Build the image, and compare its layers with those that were there."""
        started = time.monotonic()
        self.dagger(*BUILDERS[builder], "sync")
        seconds = time.monotonic() - started
        self.dagger(*BUILDERS[builder], "as-tarball", "export", "--path", str(self.archive.path))
        layers = {layer["digest"]: layer["size"] for layer in self.archive.manifest()["layers"]}
        there = self.there[builder]
        pushed = sum(size for digest, size in layers.items() if digest not in there)
        there |= layers
        return Figure(case, builder, seconds, pushed)

    def dagger(self, *arguments: str) -> None:
        """Type a command of the Dagger CLI in the checkout."""
        command = ["dagger", "--progress=plain", *arguments]
        ended = subprocess.run(command, cwd=self.synthetic.folder, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{ended.stderr[-2000:]}")


def main(arguments: Sequence[str]) -> int:
    """Run as a command."""
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("--packages", type=int, default=50, help="how many packages the image has (50)")
    parser.add_argument("--rounds", type=int, default=3, help="how often all is measured; medians are told (3)")
    parser.add_argument("--plot", type=Path, help="the SVG file to write")
    options = parser.parse_args(arguments)
    figures: list[Figure] = []
    for number in range(options.rounds):
        with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
            name = f"bench-{os.getpid()}-{number}"
            synthetic = Synthetic(Path(scratch) / "checkout", name, options.packages)
            try:
                figures += Bench(synthetic, Path(scratch)).run()
            finally:
                synthetic.remove()
    lines = summarize(figures)
    print(draw_markdown(COLUMNS, table(lines)), end="")
    if options.plot:
        # The first build pushes everything, and would make the others' bars too short to see.
        options.plot.write_text(plot([line for line in lines if line.case != "cold"]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
