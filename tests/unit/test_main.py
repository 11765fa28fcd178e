"""The module is started for every call, so it starts with little."""

import subprocess
import sys

#: Modules that take long to load, and are not needed to list the functions.
HEAVY = (
    "dulwich",
    "jinja2",
    "junitparser",
    "matplotlib",
    "pydantic",
    "pydantic_settings",
    "rattler",
    "pipeline.checkout",
)


def test_the_module_starts_without_what_a_call_may_not_need() -> None:
    """Reading locks, settings and git is loaded by the functions that do it."""
    script = f"import sys, pipeline.main; print([name for name in {HEAVY} if name in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
