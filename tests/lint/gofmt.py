"""Check that the programs in Go are formatted."""
# ruff: noqa: T201 -- a command line prints

import shutil
import subprocess
import sys
from pathlib import Path


def main() -> int:
    """Name the files in the current folder that are not, and return an exit code."""
    gofmt = shutil.which("gofmt")
    if gofmt is None:
        print("gofmt is not on PATH; install Go and add its bin folder to PATH", file=sys.stderr)
        return 1
    command = [gofmt, "-l", *map(str, Path("tests").rglob("*.go"))]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    print(found.stdout + found.stderr, end="")
    return 1 if found.returncode or found.stdout else 0


if __name__ == "__main__":
    sys.exit(main())
