"""The documents: ``python -m tests.documents check``, or ``build`` for the reference and the site."""
# ruff: noqa: T201 -- a command line prints

import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tests.documents import errors, reference, site
from tests.documents.markdown import broken_links, documents, long_lines, missing_modules
from tests.sandbox.errors import SandboxError

CHECKOUT: Final = Path(__file__).resolve().parents[2]
#: Pages that are written from the code.
GENERATED: Final[Mapping[str, Callable[[], str]]] = {
    errors.PAGE: errors.errors,
    reference.PAGE: reference.reference,
}


def check(checkout: Path) -> list[str]:
    """Errors in the documents, a line each.

    Raises:
        SandboxError: the generator of the site cannot be installed.
    """
    found = [
        finding
        for file in documents(checkout)
        for finding in (*long_lines(file, checkout), *broken_links(file, checkout), *missing_modules(file, checkout))
    ]
    found += stale_pages(checkout)
    if not found:
        with tempfile.TemporaryDirectory(prefix="site-") as folder:
            site.build(checkout, Path(folder) / "site")
    return found


def stale_pages(checkout: Path) -> list[str]:
    """A finding for each generated page that is missing, or differs from the code."""
    return [
        f"{name}: the page differs from the code; run ./dev docs and commit it"
        for name, content in GENERATED.items()
        if not (page := checkout / name).exists() or page.read_text(encoding="utf-8") != content()
    ]


def main(command: str) -> int:
    """Run a command and return its exit code."""
    try:
        if command == "check":
            found = check(CHECKOUT)
            print("".join(f"{finding}\n" for finding in found), end="", file=sys.stderr)
            return 1 if found else 0
        for name, content in GENERATED.items():
            (CHECKOUT / name).write_text(content(), encoding="utf-8")
        site.build(CHECKOUT, CHECKOUT / "docs/site")
        print("docs: the site is in docs/site; to look at it: python3 -m http.server -d docs/site")
    except SandboxError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
