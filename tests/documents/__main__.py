"""The documents: ``python -m tests.documents check``, or ``build`` for the reference and the site."""
# ruff: noqa: T201 -- a command line prints

import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.documents import reference, site
from tests.documents.markdown import broken_links, documents, long_lines, missing_modules
from tests.sandbox.errors import SandboxError

CHECKOUT: Final = Path(__file__).resolve().parents[2]


def check(checkout: Path) -> list[str]:
    """What is wrong with the documents, a line each.

    Raises:
        SandboxError: the generator of the site cannot be installed.
    """
    found = [
        finding
        for file in documents(checkout)
        for finding in (*long_lines(file, checkout), *broken_links(file, checkout), *missing_modules(file, checkout))
    ]
    if not reference.is_current(checkout):
        found.append(f"{reference.PAGE}: is not what pipeline/main.py says; run ./dev docs and commit the page")
    if not found:
        with tempfile.TemporaryDirectory(prefix="site-") as folder:
            site.build(checkout, Path(folder) / "site")
    return found


def main(command: str) -> int:
    """Run a command and return its exit code."""
    try:
        if command == "check":
            found = check(CHECKOUT)
            print("".join(f"{finding}\n" for finding in found), end="", file=sys.stderr)
            return 1 if found else 0
        reference.write(CHECKOUT)
        site.build(CHECKOUT, CHECKOUT / "docs/site")
        print("docs: the site is in docs/site; to look at it: python3 -m http.server -d docs/site")
    except SandboxError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
