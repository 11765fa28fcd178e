import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.build.activation import (
    _AFTER,
    _READ,
    _START,
    BASE_SCRIPT,
    HOST_VARIABLES,
    activation,
    export_script,
    host_script,
    read_variables,
)

TEXT = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]))


def test_what_an_entrypoint_changes_is_kept() -> None:
    """New and changed variables are the activation; unchanged ones and the shell's own are not."""
    before = "PATH=/bin\0HOME=/root\0LANG=C\0"
    after = "PATH=/env/bin:/bin\0HOME=/home\0LANG=C\0SHLVL=1\0_=/bin/env\0CONDA_PREFIX=/env\0X=a=b\0"
    assert activation(before, after) == {"CONDA_PREFIX": "/env", "PATH": "/env/bin:/bin", "X": "a=b"}


def test_a_value_of_several_lines_is_kept() -> None:
    """Variables are separated by zero bytes, so a line break is part of a value."""
    assert activation("", "A=one\ntwo\0B=3\0") == {"A": "one\ntwo", "B": "3"}


def activated(folder: Path, script: str, **before: str) -> dict[str, str]:
    """Environment variables that an entrypoint with a script in it changes."""
    entrypoint = folder / "entrypoint"
    # Bytes: Python's text would have other ends of lines.
    entrypoint.write_bytes(f'#!/bin/bash\n{script}\nexec "$@"\n'.encode())
    entrypoint.chmod(0o755)
    command = ["bash", "-euc", _READ, _START, _AFTER, str(entrypoint)]
    environment = {"PATH": os.environ["PATH"], **before}
    ended = subprocess.run(command, capture_output=True, check=True, env=environment)
    return read_variables(ended.stdout.decode())


@pytest.mark.parametrize(
    "command", ["echo hello", "echo PATH=/bin", "printf no-end", "printf 'A=1\\0\\0B=2\\0'", "env -0", "exec 2>&1"]
)
def test_what_an_activation_prints_is_no_variable(tmp_path: Path, command: str) -> None:
    """Scripts of packages print what they like, and it stands before the first variable."""
    assert activated(tmp_path, f"{command}\nexport NEW=1", OLD="2") == {"NEW": "1"}


@given(TEXT)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=20)
def test_any_value_is_read(tmp_path: Path, value: str) -> None:
    """Several lines, a `$`, quotes: the value is what the entrypoint set, to the letter."""
    quoted = value.replace("'", "'\\''")
    assert activated(tmp_path, f"export NEW='{quoted}'\necho", OLD=value) == {"NEW": value}


def sourced(script: str, **before: str) -> bytes:
    """The environment of a POSIX shell that sourced a script."""
    shell = shutil.which("dash") or "sh"
    command = [shell, "-euc", f"{script}\nexec env -0"]
    environment = {"PATH": os.environ["PATH"], **before}
    return subprocess.run(command, capture_output=True, check=True, env=environment).stdout


@given(TEXT)
def test_the_script_exports_any_value(value: str) -> None:
    """Whatever a value holds, a POSIX shell that sources the script exports just that, forced or by default."""
    found = sourced(export_script({"FORCED": value}, {"DEFAULT": value})).split(b"\0")
    assert b"FORCED=" + value.encode() in found
    assert b"DEFAULT=" + value.encode() in found


def test_what_a_person_set_is_kept_but_for_the_activation() -> None:
    """A default gives way to what was set before, even to nothing; the activation does not."""
    script = export_script({"FORCED": "image"}, {"DEFAULT": "image", "EMPTY": "image"})
    found = sourced(script, FORCED="person", DEFAULT="person", EMPTY="").split(b"\0")
    assert {b"FORCED=image", b"DEFAULT=person", b"EMPTY="} <= set(found)


def test_names_that_no_shell_has_are_left_out() -> None:
    """A variable that an image has and a shell could not set does not break the script."""
    assert b"GOOD=1" in sourced(export_script({"GOOD": "1"}, {"BAD-NAME": "2", "1BAD": "3"})).split(b"\0")


def test_the_script_against_the_host_adds_no_variable() -> None:
    """It sets each variable to nothing without exporting it: an empty LIBRARY_PATH is the current folder to gcc."""
    script = host_script(HOST_VARIABLES)
    assert not {*HOST_VARIABLES} & {entry.partition(b"=")[0].decode() for entry in sourced(script).split(b"\0")}
    assert b"SEEN=" in sourced(f"{script}\nexport SEEN=${{PYTHONPATH-unset}}").split(b"\0")


def test_the_script_against_the_host_keeps_what_the_image_sets() -> None:
    """A variable that a script of the image has set by then stays."""
    assert b"ROOTSYS=/opt/root" in sourced(host_script(HOST_VARIABLES), ROOTSYS="/opt/root").split(b"\0")


def test_libraries_of_the_host_come_last() -> None:
    """Apptainer's folder for them stands behind the image's own, and alone where there are none."""
    assert b"LD_LIBRARY_PATH=/mine:/.singularity.d/libs" in sourced(BASE_SCRIPT, LD_LIBRARY_PATH="/mine").split(b"\0")
    assert b"LD_LIBRARY_PATH=/.singularity.d/libs" in sourced(BASE_SCRIPT).split(b"\0")
