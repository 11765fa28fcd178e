"""Run the unit tests, and say how much they run of the modules that need no engine: all that do not import dagger."""
# ruff: noqa: T201 -- a command line prints

import ast
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

PACKAGE: Final = Path("pipeline")
#: Per cent of their lines, all together.
FLOOR: Final = 95
_COVERAGE: Final = (sys.executable, "-m", "coverage")


def main(arguments: Sequence[str]) -> int:
    """Measure the repository in the current folder, and return an exit code; arguments are for pytest."""
    modules = find_modules(PACKAGE)
    with tempfile.TemporaryDirectory() as folder:
        # The quick way to measure, which Python 3.12 has for lines; and a file for each of the processes.
        outside = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
        environment = {**outside, "COVERAGE_CORE": "sysmon", "COVERAGE_FILE": f"{folder}/coverage"}
        tests = ["pytest", "-q", "-p", "no:cacheprovider", *(arguments or ["tests/unit"])]
        ended = subprocess.run([*_COVERAGE, "run", "-m", *tests], env=environment, check=False)
        if ended.returncode:
            return ended.returncode
        subprocess.run([*_COVERAGE, "combine", "--quiet"], env=environment, check=True)
        report = [*_COVERAGE, "report", f"--include={','.join(map(str, modules))}"]
        total = subprocess.run([*report, "--format=total"], env=environment, check=True, capture_output=True, text=True)
        share = float(total.stdout)
        if share < FLOOR:
            subprocess.run([*report, "--show-missing", "--skip-covered"], env=environment, check=True)
    print(f"coverage: {share} % of {len(modules)} modules that need no engine; the floor is {FLOOR} %")
    return 0 if share >= FLOOR else 1


def find_modules(package: Path) -> list[Path]:
    """The modules of a package that do not import dagger, wherever in them they would."""
    return [path for path in sorted(package.rglob("*.py")) if "dagger" not in _imported(path)]


def _imported(path: Path) -> set[str]:
    """The packages that a module imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return {name.partition(".")[0] for name in names}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
