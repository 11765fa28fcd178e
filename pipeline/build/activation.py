"""Activation of an environment without the entrypoint: as variables of the image, and as a script to source."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

import dagger

from pipeline.build.suitability import BASH

#: Variables of a shell that are not part of the environment it activates.
SHELL_VARIABLES: Final = frozenset({"_", "PWD", "OLDPWD", "SHLVL", "HOME", "HOSTNAME", "TERM", "PIXI_PROMPT", "PS1"})

#: Variables of a host that lead programs of an image to the host's files, by what reads them.
HOST_VARIABLES: Final = (
    # Python and IPython: modules, the standard library, code to run at the start, a virtual environment to add
    *("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV"),
    # conda and mamba: the active environment
    *("CONDA_PREFIX", "CONDA_DEFAULT_ENV", "CONDA_SHLVL", "CONDA_EXE", "CONDA_PYTHON_EXE", "CONDA_PROMPT_MODIFIER"),
    *("_CE_CONDA", "_CE_M"),
    # ROOT
    *("ROOTSYS", "ROOT_INCLUDE_PATH", "ROOT_LIBRARY_PATH", "CLING_STANDARD_PCH", "CLING_PREBUILT_MODULE_PATH"),
    # compilers, and ROOT's interpreter
    *("CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "LIBRARY_PATH"),
    # Jupyter: kernels and settings
    *("JUPYTER_PATH", "JUPYTER_CONFIG_PATH"),
    # the loader; Apptainer leaves LD_LIBRARY_PATH out by itself
    "LD_PRELOAD",
    # locales, of which an image has few
    *("LC_ALL", "LC_ADDRESS", "LC_COLLATE", "LC_CTYPE", "LC_IDENTIFICATION", "LC_MEASUREMENT", "LC_MESSAGES"),
    *("LC_MONETARY", "LC_NAME", "LC_NUMERIC", "LC_PAPER", "LC_TELEPHONE", "LC_TIME"),
)

#: Script for Apptainer, which evaluates ``--env`` after a script of this name, ``99-base.sh``, and not at all without
#: it. Converted images get Apptainer's own in its place; in a folder that another program unpacked, this one stays.
BASE_SCRIPT: Final = """\
# Libraries that --nv brings, as in the script of this name that Apptainer writes.
LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}/.singularity.d/libs
export LD_LIBRARY_PATH
"""

_START: Final = "\nThe variables of the activated environment:\n"
#: A function of bash: prints the variables that its process was started with. The image may have no other program.
_PRINT: Final = """print() { while IFS= read -r -d '' line; do printf '%s\\0' "$line"; done < /proc/self/environ; }\n"""
#: Prints the marker and the variables of a command that the entrypoint starts. $0 is the marker.
_AFTER: Final = f'{_PRINT}printf %s "$0"; print'
#: Prints the variables of a plain command, a zero byte, and the output of a script that the entrypoint starts. Each
#: variable ends with a zero byte. $0 is the marker, the arguments are the script and the entrypoint.
_READ: Final = f"""{_PRINT}
script=$1
shift
print
printf '\\0'
exec "$@" {BASH} -euc "$script" "$0"
"""

#: Names that a shell can set.
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


async def read_activation(container: dagger.Container) -> dict[str, str]:
    """Run an image's entrypoint, and return the environment variables that it sets."""
    # One exec for both: the engine adds its own variables to each exec, and they must cancel out.
    output = await container.with_exec([BASH, "-euc", _READ, _START, _AFTER, *await container.entrypoint()]).stdout()
    return read_variables(output)


def read_variables(output: str) -> dict[str, str]:
    """Return the variables that an activation changed, from the output of ``_READ``."""
    before, _, rest = output.partition("\0\0")
    # Activation scripts of packages may print something before the marker.
    return activation(before, rest.rpartition(_START)[2])


def activation(before: str, after: str) -> dict[str, str]:
    """Return the variables that an activation changed; in both texts, each variable ends with a zero byte."""
    old, new = parse_environment(before), parse_environment(after)
    return {
        name: value for name, value in sorted(new.items()) if name not in SHELL_VARIABLES and old.get(name) != value
    }


def parse_environment(output: str) -> dict[str, str]:
    """Parse environment variables that each end with a zero byte, the format of ``/proc/PID/environ``."""
    return dict(line.split("=", 1) for line in output.split("\0") if "=" in line)


def export_script(always: Mapping[str, str], defaults: Mapping[str, str]) -> str:
    """Return a POSIX shell script that exports variables; it is sourced, so it has no interpreter line.

    Args:
        always: variables that are set in any case.
        defaults: variables that are set only where they are unset.
    """
    lines = [f"export {name}={_quoted(value)}" for name, value in always.items() if _NAME.fullmatch(name)]
    # Two commands: an old shell splits the value into words if it is an argument of export.
    lines += [
        f"{name}=${{{name}-{_quoted(value)}}}; export {name}"
        for name, value in defaults.items()
        if _NAME.fullmatch(name)
    ]
    return "\n".join(["# The environment of this image, for runtimes that ignore its entrypoint.", *lines, ""])


def host_script(names: Iterable[str]) -> str:
    """Return a script for Apptainer that keeps variables of the host out.

    Apptainer unsets all variables of the host, runs the scripts of the image, and sets them again, except those that
    the scripts have set; of these, it drops those that are empty. What ``--env`` gives is set after this script.

    Args:
        names: names of the variables.
    """
    # Not exported: a variable that the host does not have must not be in the container, not even as an empty one.
    lines = [f"{name}=${{{name}-}}" for name in names]
    return "\n".join(["# Variables of the host that are not for the programs of this image.", *lines, ""])


def _quoted(value: str) -> str:
    return "'{}'".format(value.replace("'", "'\\''"))
