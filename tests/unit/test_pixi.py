"""What pixi prints, word for word as pixi 0.15.2 printed it, and what is made of it."""

import pytest

from pipeline.errors import BuildError, LockError, PipelineError
from pipeline.pixi import causes, explain_install

STALE = """
  × lock-file not up-to-date with the project

"""
NOT_FOUND = """
  × failed to download package http://channel/conda-forge/linux-64/foo-
  │ 1.0-h1_0.conda
  ├─▶ Request error: HTTP status client error (404 Not Found) for url
  │   (http://channel/conda-forge/linux-64/foo-1.0-h1_0.conda)
  ╰─▶ HTTP status client error (404 Not Found) for url (http://channel/
      conda-forge/linux-64/foo-1.0-h1_0.conda)

"""
REFUSED = """
  × failed to download package http://channel/conda-forge/linux-64/bar-
  │ 1.0-h0_0.conda
  ├─▶ Request error: error sending request for url: error trying to connect: tcp
  │   connect error: Connection refused (os error 111)
  ╰─▶ Connection refused (os error 111)
"""
MISMATCH = """
  × failed to interact with the package cache layer.
  ╰─▶ hash mismatch when extracting https://channel/foo.conda to /cache/pkgs/foo: expected 1, got 2, total size 3 bytes
"""


def test_the_chain_of_causes_is_read() -> None:
    """Each branch of the tree is a cause, put together from its lines."""
    first, second, third = causes(NOT_FOUND)
    assert first == "failed to download package http://channel/conda-forge/linux-64/foo- 1.0-h1_0.conda"
    assert second.startswith("Request error: HTTP status client error (404 Not Found) for url (http")
    assert third.startswith("HTTP status client error (404 Not Found)")


def test_output_without_a_tree_gives_its_last_line() -> None:
    """Where pixi drew no tree, its last words are the cause; where it said nothing, there is none."""
    assert causes("one\ntwo\n\n") == ["two"]
    assert causes("\n") == []


def test_colours_do_not_matter() -> None:
    """The same output with the colours of a terminal gives the same causes."""
    assert causes("  \x1b[31m×\x1b[0m lock-file \x1b[1mnot\x1b[0m up-to-date") == ["lock-file not up-to-date"]


@pytest.mark.parametrize(
    ("output", "error", "said"),
    [
        (STALE, LockError, "small/pixi.lock does not match small/pixi.toml (pixi: lock-file not up-to-date"),
        (NOT_FOUND, BuildError, "the channel no longer has this package"),
        (REFUSED, BuildError, "Connection refused (os error 111); if the channel was out of reach"),
        (MISMATCH, BuildError, "otherwise do not trust the channel"),
        ("", BuildError, "it exited with 7 and said nothing"),
    ],
)
def test_what_pixi_says_is_explained(output: str, error: type[PipelineError], said: str) -> None:
    """Each kind of failure has its sentence, in one line, with a remedy."""
    found = explain_install("small", "default", 7, output)
    assert isinstance(found, error)
    assert said in str(found)
    assert "\n" not in str(found)


def test_a_pixi_that_hangs_is_explained() -> None:
    """A time-out names the setting that it came from."""
    assert "'install_timeout' of [tool.pipeline]" in str(explain_install("small", "default", 124, "anything"))
