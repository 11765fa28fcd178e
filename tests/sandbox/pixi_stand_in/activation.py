"""What `pixi shell-hook` prints: the script that activates an environment in bash."""

import os
import shlex
import sys
from collections.abc import Mapping

from rattler.shell import ActivationVariables, PathModificationBehavior, Shell, activate

from .failures import warn
from .platforms import Platform
from .workspace import Environment

#: Changes of the environment count in the shell that makes them.
HOOK = """\
pixi() {
    "$PIXI_EXE" "$@" || return
    case "${1-}" in add|install|remove) eval "$("$PIXI_EXE" shell-hook --change-ps1 false)" ;; esac
}
"""


def shell_hook(environment: Environment, platform: Platform, *, prompt: bool, completions: bool = True) -> str:
    """The script; variables first, then the scripts of packages and of the manifest, then the manifest's variables."""
    paths = [path for path in os.environ.get("PATH", "").split(os.pathsep) if path]
    prefix = environment.prefix
    current = ActivationVariables(None, paths, PathModificationBehavior.Replace)
    script = activate(prefix, current, Shell.bash, platform.subdir).script  # type: ignore[arg-type]
    lines = script.splitlines()
    place = next(index for index, line in enumerate(lines) if line.startswith("export CONDA_PREFIX=")) + 1
    lines[place:place] = exports(static_variables(environment), os.environ)
    scripts, own = environment.activation(platform)
    found = [environment.workspace.root / script for script in scripts]
    if missing := [str(path) for path in found if not path.is_file()]:
        print(warn(f"Could not find activation scripts: {', '.join(missing)}"), file=sys.stderr)
    for path in found:
        if path.is_file() and path.suffix not in (".sh", ".bash"):
            print(
                warn(
                    f"The activation script '{path}' does not have the correct extension for the platform "
                    f"'{platform.subdir}'. The extension should be '.sh' or '.bash'."
                ),
                file=sys.stderr,
            )
    lines += [f". {shlex.quote(str(path))}" for path in found if path.is_file()]
    lines += exports(own, os.environ)
    completion = prefix / "share/bash-completion/completions"
    if completions and completion.is_dir():
        lines.append(f'for completion in {completion}/*; do [ -r "$completion" ] && . "$completion"; done')
    text = "\n".join([*lines, "", HOOK])
    return f'{text}\nexport PS1="({environment.title}) ${{PS1:-}}"' if prompt else text


def static_variables(environment: Environment) -> dict[str, str]:
    """What pixi says of the workspace and the environment."""
    workspace = environment.workspace
    return {
        "PIXI_PROJECT_ROOT": str(workspace.root),
        "PIXI_PROJECT_NAME": workspace.name,
        "PIXI_PROJECT_MANIFEST": str(workspace.manifest),
        "PIXI_PROJECT_VERSION": workspace.version,
        "PIXI_IN_SHELL": "1",
        "PIXI_EXE": os.environ.get("PIXI_EXE", "/usr/local/bin/pixi"),
        "CONDA_DEFAULT_ENV": environment.title,
        "PIXI_ENVIRONMENT_NAME": environment.name,
        "PIXI_ENVIRONMENT_PLATFORMS": ",".join(platform.name for platform in environment.platforms),
        "PIXI_PROMPT": f"({environment.title}) ",
    }


def exports(variables: Mapping[str, str], current: Mapping[str, str]) -> list[str]:
    """Commands that set variables, and keep what was there before."""
    lines = []
    for name, value in variables.items():
        if name in current:
            lines.append(f"export CONDA_ENV_SHLVL_1_{name}={quoted(current[name])}")
        lines.append(f"export {name}={quoted(value)}")
    return lines


def quoted(value: str) -> str:
    """A value as bash takes it: one with a dollar sign stands for what it will be then."""
    return '"{}"'.format(value.replace('"', '\\"')) if "$" in value else shlex.quote(value)
