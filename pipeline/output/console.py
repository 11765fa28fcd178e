"""Log of a call: the CLI shows it beside the result of a function."""

import sys


def log(text: str) -> None:
    """Write text to the log of the call."""
    sys.stdout.write(text)
    sys.stdout.flush()
