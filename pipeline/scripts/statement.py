"""Write an in-toto statement with a JSON document as its predicate.

Usage: python -m pipeline.scripts.statement HEAD PREDICATE OUTPUT. HEAD is the statement without its predicate, as JSON;
the others are files. The same document gives the same bytes.
"""

import json
import sys
from pathlib import Path


def main(head: str, predicate: str, output: str) -> None:
    """Run as a command; see the module's docstring."""
    document = json.loads(Path(predicate).read_bytes())
    Path(output).write_text(json.dumps({**json.loads(head), "predicate": document}), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
