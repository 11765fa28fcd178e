"""Activate the environment for those who skip the entrypoint: as variables of the image, and as a script to source."""

import re
from collections.abc import Mapping
from typing import Final

import dagger

#: Variables of a shell that are not part of the environment it activates.
SHELL_VARIABLES: Final = frozenset({"_", "PWD", "OLDPWD", "SHLVL", "HOME", "HOSTNAME", "TERM", "PIXI_PROMPT", "PS1"})

#: Names that a shell can set.
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


async def read_activation(container: dagger.Container) -> dict[str, str]:
    """The environment variables that an image's entrypoint sets, found by running it."""
    # In one exec: each gets variables of its own from the engine, and none of those is the image's.
    script = "env -0; printf '\\0'; \"$0\" env -0"
    output = await container.with_exec(["sh", "-euc", script, *await container.entrypoint()]).stdout()
    # Each variable ends with a zero byte, so there are two of them between the outputs.
    before, _, after = output.partition("\0\0")
    return activation(before, after)


def activation(before: str, after: str) -> dict[str, str]:
    """What an activation changed, from the outputs of ``env -0`` before and after it."""
    old, new = parse_environment(before), parse_environment(after)
    return {
        name: value for name, value in sorted(new.items()) if name not in SHELL_VARIABLES and old.get(name) != value
    }


def parse_environment(output: str) -> dict[str, str]:
    """Environment variables, from the output of ``env -0``."""
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
