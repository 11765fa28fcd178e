"""``./dev bench``: measures this pipeline against a Dockerfile of the same image, built by BuildKit."""
# ruff: noqa: T201 -- a command line prints

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pipeline.output.tables import draw_markdown
from tests.bench.builders import REGISTRY, Pipeline, dockerfile
from tests.bench.cases import Round
from tests.bench.figures import COLUMNS, Figure, plot, summarize, table
from tests.sandbox.kept import TEMPORARY
from tests.sandbox.state import current

PARTS = ("builds", "real", "imports", "growth")


def main(arguments: Sequence[str]) -> int:
    """Run as a command."""
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("--only", choices=PARTS, nargs="+", default=PARTS, help="what is measured (all of it)")
    parser.add_argument("--packages", type=int, default=50, help="how many packages the image of 'builds' has (50)")
    parser.add_argument("--rounds", type=int, default=3, help="how often all is measured; medians are shown (3)")
    parser.add_argument("--plot", type=Path, help="the SVG file to write")
    options = parser.parse_args(arguments)
    figures: list[Figure] = []
    # Where the machine sees it, too.
    with tempfile.TemporaryDirectory(prefix=f"{TEMPORARY}-bench-", dir=current().folder) as folder:
        scratch = Path(folder)
        name = f"{REGISTRY}/bench-{os.getpid()}"
        with dockerfile(name, scratch) as peer:
            for number in range(options.rounds):
                a_round = Round(Pipeline(name), peer, scratch, number)
                a_round.warm()
                if "builds" in options.only:
                    figures += a_round.builds(options.packages)
                if "real" in options.only:
                    figures += a_round.real()
                if "imports" in options.only:
                    figures += a_round.imports()
                if "growth" in options.only:
                    figures += a_round.growth([50, 200, 800], [1, 4, 16])
    lines = summarize(figures)
    print(draw_markdown(COLUMNS, table(lines)), end="")
    if options.plot:
        options.plot.write_text(plot(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
