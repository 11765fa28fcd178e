"""What a function tells beside its result: the CLI shows it as the log of the call."""

import sys


def log(text: str) -> None:
    """Say something to the person who called."""
    sys.stdout.write(text)
    sys.stdout.flush()
