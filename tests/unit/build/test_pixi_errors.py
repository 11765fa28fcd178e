"""The output of pixi, word for word as 0.15.2 and 0.77.0 printed it, and the sentences that are made of it."""

import os
import subprocess
from pathlib import Path

import pytest

from pipeline.build.pixi_errors import WITHIN, explain_install, http_status
from pipeline.build.pixi_output import causes, read
from pipeline.errors import LockError, PipelineError

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
REJECTED = """
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


#: From here on 0.77, which has an option to wrap no lines.
NEW_STALE = """\
Error:   × lock file not up-to-date with the workspace

"""
NEW_STALE_VERBOSE = """\
 WARN Encountered 1 warning while parsing the manifest:
  ⚠ the `[system-requirements]` table is deprecated in favor of virtual packages on `platforms`
   ╭─[/app/pixi.toml:6:1]
 5 │
 6 │ ╭─▶ [system-requirements]
 7 │ ├─▶ cuda = "12.0"
   · ╰──── declare these on the `platforms` entries instead
 8 │
   ╰────
  help: e.g. platforms = [{ name = "my-linux-64", platform = "linux-64", cuda = "12.0" }]

 INFO pixi_core::lock_file::outdated: environment 'default' is out of date because it does not exist in the lock file.
Error:   × lock file not up-to-date with the workspace

"""
NEW_NOT_FOUND = """\
Error:   × failed to fetch python-3.12.1-hpacked_0_cpython.conda
  ├─▶ failed to interact with the package cache layer.
  ╰─▶ HTTP status client error (404 Not Found) for url (http://127.0.0.1:7802/linux-64/python-3.12.1-hpacked_0_cpython.conda)

"""
NO_MAPPING = """\
Error:   × failed to map conda packages to their PyPI equivalents. This mapping is required when using PyPI dependencies alongside conda packages.
  ├─▶ failed to fetch conda-pypi mapping from remote source
  ╰─▶ Cache error: Request failed after 3 retries
  help: If this host cannot be reached (e.g. behind a firewall), you can avoid the network lookup: point the channel's `conda-pypi-map` entry at your own mapping with `location`, replace the default mapping data with `mapping-mode = "replace"`, disable the channel with `<channel> = false`, or disable the mapping entirely with `conda-pypi-map = false`.

"""
NO_CUDA = """\
Error: unsupported-platform

  × Cannot install environment 'default'
  ╰─▶ The workspace does not support 'linux-64' on this machine.

      Declared platforms and why none runs here:
        - linux-64-cuda (subdir linux-64): missing virtual packages: __cuda
      >= 12.8

      Unsatisfied requirements: __cuda >= 12.8

      The installed packages also require: __cuda

      Add it with 'pixi workspace platform add linux-64'.
  help: Mock the missing virtual packages via the environment, e.g.:
          CONDA_OVERRIDE_CUDA=12.8
          CONDA_OVERRIDE_CUDA=12.0
        Or install for a target this machine cannot run with `pixi install
        --platform <platform>`.

"""
NO_CUDA_TO_SOLVE_FOR = """\
Error:   × failed to solve requirements of environment 'default' for platform 'linux-
  │ 64'
  ├─▶   × failed to solve the environment
  │
  ╰─▶ Cannot solve the request because of: tensorflow-gpu * cannot be
      installed because there are no viable options:
      └─ tensorflow-gpu 2.21.0 would require
         └─ tensorflow ==2.21.0 cuda128*_200, which cannot be installed
      because there are no viable options:
            └─ tensorflow 2.21.0 would require
               └─ __cuda *, for which no candidates were found.

"""
BAD_KEY = """\
Error:   × Unexpected keys, expected only 'name', 'version'
   ╭─[/app/pixi.toml:5:1]
 4 │ platforms = ["linux-64"]
 5 │ exclude-never = "14d"
   · ──────┬──────
   ·       ╰── 'exclude-never' was not expected here
 6 │
   ╰────
  help: Did you mean 'exclude-newer'?

"""
OLD_BAD_KEY = """\
  × failed to parse pixi.toml from /app
  ╰─▶ failed to parse project manifest
   ╭─[pixi.toml:5:1]
 4 │ platforms = ["linux-64"]
 5 │ exclude-never = "14d"
   · ──────┬──────
   ·       ╰── unknown field `exclude-never`, expected one of `name`, `version`
 6 │
   ╰────

"""
UNREACHABLE = """\
Error:   × failed to solve requirements of environment 'default' for platform 'linux-64'
  ├─▶   × Request failed after 3 retries

  ├─▶ error sending request for url (http://127.0.0.1:7899/linux-64/repodata_shards.msgpack.zst)
  ├─▶ client error (Connect)
  ├─▶ tcp connect error
  ╰─▶ Connection refused (os error 111)

"""
NOBODY = """\
Error:   × failed to solve requirements of environment 'default' for platform 'linux-64'
  ╰─▶   × HTTP status client error (401 Unauthorized) for url (http://127.0.0.1:7803/linux-64/repodata_shards.msgpack.zst)


"""
NO_PLATFORM = """\
Error:   × no platform supported by environment 'ml' matches the current system

"""
#: As its source draws them.
NO_GLIBC = """\
Error:   × Cannot install environment 'default'
  ╰─▶   × Virtual package '__glibc >=2.99' does not match any of the available virtual packages on your machine: \
[__unix=0=0, __linux=6.1, __glibc=2.36, __cuda=12.8]
        help:  You can mock the virtual package by overriding the environment variable, e.g.: '`CONDA_OVERRIDE_GLIBC=2.99`'
"""
NO_COMPILER = """\
Error:   × Failed to prepare distributions
  ├─▶ Failed to build `fast==1.0`
  ├─▶ The build backend returned an error
  ╰─▶ Call to `setuptools.build_meta.build_wheel` failed (exit status: 1)

      [stderr]
      error: command 'gcc' failed: No such file or directory
"""


def test_the_chain_of_causes_is_read() -> None:
    """Each branch of the tree is a cause, put together from its lines."""
    first, second, third = causes(NOT_FOUND)
    assert first == "failed to download package http://channel/conda-forge/linux-64/foo-1.0-h1_0.conda"
    assert second.startswith("Request error: HTTP status client error (404 Not Found) for url (http")
    assert third.startswith("HTTP status client error (404 Not Found) for url (http://channel/conda-forge/linux-64/foo")


def test_what_is_drawn_on_one_line_is_read() -> None:
    """The first cause stands beside `Error:`, trees are drawn inside of trees, and the help below them."""
    assert causes(NEW_STALE) == ["lock file not up-to-date with the workspace"]
    assert causes(UNREACHABLE) == [
        "failed to solve requirements of environment 'default' for platform 'linux-64'",
        "Request failed after 3 retries",
        "error sending request for url (http://127.0.0.1:7899/linux-64/repodata_shards.msgpack.zst)",
        "client error (Connect)",
        "tcp connect error",
        "Connection refused (os error 111)",
    ]
    found = read(NO_MAPPING)
    assert found.causes[1:] == [
        "failed to fetch conda-pypi mapping from remote source",
        "Cache error: Request failed after 3 retries",
    ]
    assert found.help.startswith("If this host cannot be reached (e.g. behind a firewall), you can avoid the")
    assert found.help.endswith("or disable the mapping entirely with `conda-pypi-map = false`.")
    assert read(NO_GLIBC).help.startswith("You can mock the virtual package")


def test_a_cause_has_paragraphs() -> None:
    """They belong to it, whatever their indentation, and so does what was wrapped; a code before the tree is no cause."""
    first, second = read(NO_CUDA).causes
    assert first == "Cannot install environment 'default'"
    assert second.startswith("The workspace does not support 'linux-64' on this machine. Declared platforms and why")
    assert "missing virtual packages: __cuda >= 12.8 Unsatisfied requirements: __cuda >= 12.8" in second


def test_a_code_inside_a_tree_is_no_cause() -> None:
    """It stands in a line before the message that it is of."""
    output = "Error:   × outer\n  ╰─▶ workspace::platform\n\n        × inner, which\n        │ goes on\n"
    assert causes(output) == ["outer", "inner, which goes on"]


def test_a_piece_of_a_file_gives_its_place() -> None:
    """File, line and column stand in the cause, with the words at the mark, and none of the file's text."""
    found = read(BAD_KEY)
    assert found.causes == [
        "Unexpected keys, expected only 'name', 'version' (/app/pixi.toml:5:1): 'exclude-never' was not expected here"
    ]
    assert found.help == "Did you mean 'exclude-newer'?"
    assert causes(OLD_BAD_KEY)[1] == (
        "failed to parse project manifest (pixi.toml:5:1): unknown field `exclude-never`, expected one of `name`, `version`"
    )


def test_a_tree_of_packages_is_one_line() -> None:
    """The solver draws a tree of its own inside the last cause."""
    assert causes(NO_CUDA_TO_SOLVE_FOR) == [
        "failed to solve requirements of environment 'default' for platform 'linux-64'",
        "failed to solve the environment",
        "Cannot solve the request because of: tensorflow-gpu * cannot be installed because there are no viable options; "
        "tensorflow-gpu 2.21.0 would require; tensorflow ==2.21.0 cuda128*_200, which cannot be installed because there "
        "are no viable options; tensorflow 2.21.0 would require; __cuda *, for which no candidates were found.",
    ]


def test_a_warning_is_no_cause() -> None:
    """It is drawn in the same way."""
    assert causes(NEW_STALE_VERBOSE) == ["lock file not up-to-date with the workspace"]


def test_output_without_a_tree_gives_its_last_line() -> None:
    """If pixi drew no tree, its last line is the cause; if it printed nothing, there is none."""
    assert causes("one\ntwo\n\n") == ["two"]
    assert causes("\n") == []


def test_colours_do_not_matter() -> None:
    """The same output with the colours of a terminal gives the same causes."""
    assert causes("  \x1b[31m×\x1b[0m lock-file \x1b[1mnot\x1b[0m up-to-date") == ["lock-file not up-to-date"]


NO_GIT = """\
Error:   × failed to solve the pypi requirements of environment 'default' for platform 'linux-64'
  ├─▶ Failed to download and build `vector @ git+https://github.com/scikit-hep/vector`
  ├─▶ Git operation failed
  ╰─▶ Git executable not found. Ensure that Git is installed and available.
"""
#: Of pixi 0.77 and 0.15, for `python = "^3.12"`.
NEW_CARET = """
Error:   × unterminated unsupported regular expression
   ╭─[/app/pixi.toml:6:9]
 5 │ [dependencies]
 6 │ python="^3.12"
   ·         ─────
   ╰────
"""
CARET = """
  × failed to parse pixi.toml from /app
  ╰─▶ failed to parse project manifest
   ╭─[pixi.toml:6:8]
 5 │ [dependencies]
 6 │ python="^3.12"
   ·        ───┬───
   ·           ╰── Unable to parse version spec: ^3.12
   ╰────

"""
#: As pixi 0.15 draws it, in the width of a terminal.
NOT_LET_IN = """
  × Request error: HTTP status client error (401 Unauthorized) for url
  │ (https://pypi.example.org/hushed-1.0-py3-none-any.whl)
  ╰─▶ HTTP status client error (401 Unauthorized) for url
      (https://pypi.example.org/hushed-1.0-py3-none-any.whl)
"""


@pytest.mark.parametrize(
    ("output", "error", "sentence"),
    [
        (STALE, LockError, "small/pixi.lock does not match small/pixi.toml (pixi: lock-file not up-to-date"),
        (NOT_FOUND, PipelineError, "the channel no longer has this package"),
        (REJECTED, PipelineError, "Connection refused (os error 111); if the channel was out of reach"),
        (NOT_LET_IN, PipelineError, "put 'with-channel-auth --host pypi.example.org (--token"),
        (MISMATCH, PipelineError, "otherwise do not trust the channel"),
        (
            NEW_STALE,
            LockError,
            "(pixi: lock file not up-to-date with the workspace); run 'dagger call lock --image small'",
        ),
        (
            NEW_NOT_FOUND,
            PipelineError,
            "python-3.12.1-hpacked_0_cpython.conda); the channel no longer has this package: run",
        ),
        (NO_MAPPING, PipelineError, "pixi asks conda-mapping.prefix.dev for the PyPI names of conda packages"),
        (NO_MAPPING, PipelineError, "'conda-pypi-map = false' in [workspace] of small/pixi.toml"),
        (NO_CUDA, PipelineError, "correct key 'cuda' of small/image.toml: pixi takes it as"),
        (NO_CUDA_TO_SOLVE_FOR, PipelineError, "ask for CUDA in small/pixi.toml"),
        (NO_PLATFORM, PipelineError, "set key 'cuda' of small/image.toml to what they require"),
        (NO_GLIBC, PipelineError, "choose a 'base' in small/image.toml that has such a __glibc"),
        (BAD_KEY, PipelineError, "(small/pixi.toml:5:1): 'exclude-never' was not expected here (Did you mean"),
        (CARET, PipelineError, "version spec: ^3.12; conda has no '^' and no '~': write"),
        (NEW_CARET, PipelineError, "in small/pixi.toml, such as '>=3.12,<4'"),
        (UNREACHABLE, PipelineError, "Connection refused (os error 111); if the channel was out of reach"),
        (NOBODY, PipelineError, "'with-channel-auth --host 127.0.0.1 ("),
        (NO_COMPILER, PipelineError, "'gcc' is missing: choose a 'base' in small/image.toml"),
        (NO_GIT, PipelineError, "'git' is missing: choose a 'base' in small/image.toml"),
        ("sh: 1: pixi: not found", PipelineError, "'pixi' is missing: choose a 'base'"),
        ("compiling\nsignal: 9 (SIGKILL)", PipelineError, "it was killed, mostly because"),
        ("", PipelineError, "it exited with 7 and printed nothing"),
    ],
)
def test_what_pixi_says_is_explained(output: str, error: type[PipelineError], sentence: str) -> None:
    """Each kind of failure has its sentence, in one line, with a remedy."""
    found = explain_install("small", "default", 7, output)
    assert isinstance(found, error)
    assert sentence in str(found)
    assert "\n" not in str(found)
    assert "run 'pixi" not in str(found)


@pytest.mark.parametrize("output", [NO_GLIBC, NO_COMPILER, NO_CUDA, "sh: 1: pixi: not found", NO_MAPPING])
def test_the_channel_is_not_blamed_for_what_the_machine_lacks(output: str) -> None:
    """That something was not found says nothing about a package."""
    found = str(explain_install("small", "default", 1, output))
    assert "no longer has" not in found
    assert "was replaced" not in found
    assert "does not match small/pixi.toml" not in found


def test_a_pixi_that_hangs_is_explained() -> None:
    """A time-out names the setting that it came from."""
    assert "'install_timeout' of [tool.pipeline]" in str(explain_install("small", "default", 124, "anything"))


def test_a_pixi_that_was_killed_is_explained() -> None:
    """Exit code 137 is a signal, whatever stands in the output before it."""
    found = str(explain_install("small", "default", 137, NOT_FOUND))
    assert "it was killed (exit code 137), mostly because the machine has too little memory" in found
    assert "no longer has" not in found


@pytest.mark.parametrize(
    ("seconds", "ended", "code"),
    [(60, 0, 0), (60, 3, 3), (60, 137, 137), (60, 124, 124), (1, 137, 124), (1, 0, 0)],
    ids=["well", "badly", "killed by somebody else", "ended in time", "killed in time", "well in the last moment"],
)
def test_a_kill_after_the_time_is_told_from_others(tmp_path: Path, seconds: int, ended: int, code: int) -> None:
    """By the clock: `timeout` exits with the same code when it had to kill, as when somebody else did."""
    program = tmp_path / "timeout"
    program.write_text(f'#!/bin/sh\necho "$@"\nsleep 1.1\nexit {ended}\n')
    program.chmod(0o755)
    command = ["sh", "-euc", f'{WITHIN}within "$@"\necho well', "sh", str(seconds), "pixi", "two words"]
    path = f"{tmp_path}:{os.environ['PATH']}"
    found = subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": path})
    assert found.returncode == code, found.stderr
    lines = [f"--kill-after=10 {seconds} pixi two words", *(["well"] if code == 0 else [])]
    assert found.stdout.splitlines() == lines


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("HTTP status client error (404 Not Found) for url (x)", 404),
        ("server answered with status code: 403", 403),
        ("https://channel/404/foo-401-h0.conda: timed out", 0),
    ],
)
def test_a_status_is_not_read_out_of_an_address(text: str, status: int) -> None:
    """Only the words of HTTP beside a number make it a status."""
    assert http_status(text) == status


def test_no_password_is_told() -> None:
    """The host of an address is named without what stands before it."""
    output = NOBODY.replace("http://127.0.0.1:7803", "https://me:hidden@conda.example.org")
    found = str(explain_install("small", "default", 1, output))
    assert "--host conda.example.org (" in found
    assert "hidden" not in found
