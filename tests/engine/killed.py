"""A test that is killed, which leaves behind what it has begun."""

import os
import subprocess
import sys

from tests.engine.conftest import ROOT


def run_and_kill(script: str, argument: str) -> str:
    """Run a script of Python until it has printed a line, kill it, and return the line."""
    with subprocess.Popen(
        [sys.executable, "-P", "-c", script, argument],
        cwd="/",
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as test:
        assert test.stdout is not None
        line = test.stdout.readline().strip()
        test.kill()
    return line
