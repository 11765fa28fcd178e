import os
import shutil
import subprocess

from hypothesis import given
from hypothesis import strategies as st

from pipeline.activation import activation, export_script

TEXT = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]))


def test_what_an_entrypoint_changes_is_kept() -> None:
    """New and changed variables are the activation; unchanged ones and the shell's own are not."""
    before = "PATH=/bin\0HOME=/root\0LANG=C\0"
    after = "PATH=/env/bin:/bin\0HOME=/home\0LANG=C\0SHLVL=1\0_=/bin/env\0CONDA_PREFIX=/env\0X=a=b\0"
    assert activation(before, after) == {"CONDA_PREFIX": "/env", "PATH": "/env/bin:/bin", "X": "a=b"}


def test_a_value_of_several_lines_is_kept() -> None:
    """Variables are separated by zero bytes, so a line break is part of a value."""
    assert activation("", "A=one\ntwo\0B=3\0") == {"A": "one\ntwo", "B": "3"}


@given(TEXT)
def test_the_script_exports_any_value(value: str) -> None:
    """Whatever a value holds, a POSIX shell that sources the script exports just that."""
    shell = shutil.which("dash") or "sh"
    command = [shell, "-c", f"{export_script({'VALUE': value})}\nexec env -0"]
    output = subprocess.run(command, capture_output=True, check=True, env={"PATH": os.environ["PATH"]}).stdout
    assert b"VALUE=" + value.encode() in output.split(b"\0")
