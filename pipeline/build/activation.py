"""Activate the environment for those who skip the entrypoint: as variables of the image, and as a script to source."""

import re
from collections.abc import Mapping
from typing import Final

import dagger
from dagger import dag

#: Variables of a shell that are not part of the environment it activates.
SHELL_VARIABLES: Final = frozenset({"_", "PWD", "OLDPWD", "SHLVL", "HOME", "HOSTNAME", "TERM", "PIXI_PROMPT", "PS1"})

#: Where a file is mounted that has nothing but the text after which variables begin.
_MARK: Final = "/.variables"
_START: Final = "\nThe variables of the activated environment:\n"
#: Prints the variables of a command, each ended by a zero byte, another zero byte, and those of a command that an
#: entrypoint starts, after that text. $0 is the file that has it, the arguments are the entrypoint.
_READ: Final = """cat /proc/self/environ; printf '\\0'; "$@" cat "$0" /proc/self/environ"""

#: Names that a shell can set.
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


async def read_activation(container: dagger.Container) -> dict[str, str]:
    """The environment variables that an image's entrypoint sets, found by running it."""
    marked = container.with_mounted_file(_MARK, dag.file("mark", _START))
    # In one exec: each gets variables of its own from the engine, and none of those is the image's.
    output = await marked.with_exec(["sh", "-euc", _READ, _MARK, *await container.entrypoint()]).stdout()
    return read_variables(output)


def read_variables(output: str) -> dict[str, str]:
    """What an activation changed, from the output of the commands ``_READ``."""
    before, _, rest = output.partition("\0\0")
    # Scripts of packages may print while they are run, and before the variables are.
    return activation(before, rest.rpartition(_START)[2])


def activation(before: str, after: str) -> dict[str, str]:
    """What an activation changed, from the variables before and after it, each ended by a zero byte."""
    old, new = parse_environment(before), parse_environment(after)
    return {
        name: value for name, value in sorted(new.items()) if name not in SHELL_VARIABLES and old.get(name) != value
    }


def parse_environment(output: str) -> dict[str, str]:
    """Environment variables, each ended by a zero byte, as the kernel tells them."""
    return dict(line.split("=", 1) for line in output.split("\0") if "=" in line)


def export_script(always: Mapping[str, str], defaults: Mapping[str, str]) -> str:
    """A POSIX shell script that exports variables; it is sourced, so it has no interpreter line.

    Args:
        always: set to these values, whatever they were.
        defaults: set to these values where they are not set.
    """
    lines = [f"export {name}={_quoted(value)}" for name, value in always.items() if _NAME.fullmatch(name)]
    # In two commands: as an argument of export, an old shell would split the value into words.
    lines += [
        f"{name}=${{{name}-{_quoted(value)}}}; export {name}"
        for name, value in defaults.items()
        if _NAME.fullmatch(name)
    ]
    return "\n".join(["# The environment of this image, for runtimes that ignore its entrypoint.", *lines, ""])


def _quoted(value: str) -> str:
    return "'{}'".format(value.replace("'", "'\\''"))
