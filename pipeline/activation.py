"""Activate the environment for those who skip the entrypoint: as variables of the image, and as a script to source."""

from typing import Final

import dagger

#: Variables of a shell that are not part of the environment it activates.
SHELL_VARIABLES: Final = frozenset({"_", "PWD", "OLDPWD", "SHLVL", "HOME", "HOSTNAME", "TERM", "PIXI_PROMPT", "PS1"})


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


def with_activation(container: dagger.Container, variables: dict[str, str]) -> dagger.Container:
    """Activate the environment where the entrypoint is skipped (``docker exec``), or variables too (CVMFS)."""
    container = container.with_new_file(
        "/.singularity.d/env/91-environment.sh", export_script(variables), permissions=0o755
    )
    for name, value in variables.items():
        container = container.with_env_variable(name, value)
    return container


def export_script(variables: dict[str, str]) -> str:
    """A POSIX shell script that exports variables; it is sourced, so it has no interpreter line."""
    lines = [f"export {name}='{value.replace("'", "'\\''")}'" for name, value in variables.items()]
    return "\n".join(["# The environment of this image, for runtimes that ignore its entrypoint.", *lines, ""])
