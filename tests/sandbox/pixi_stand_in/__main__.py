"""The command line: the part of pixi's that builds of images use."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence

from . import VERSION, activation, deprecated, fits, install, listing
from . import lock as locks
from . import workspace as workspaces
from .failures import PixiError, draw, warn
from .lock import Lock, Packages
from .platforms import BASELINE, Platform, this_machine
from .solve import changes, solve
from .workspace import Environment, Workspace

STALE = "lock file not up-to-date with the workspace"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; its exit code."""
    options = parser().parse_args(arguments)
    try:
        asyncio.run(options.run(options))
    except PixiError as error:
        print(draw(error), file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """The options of each command."""
    found = argparse.ArgumentParser("pixi", description="A stand-in for pixi.", allow_abbrev=False)
    found.add_argument("--version", "-V", action="version", version=f"pixi {VERSION}")
    commands = found.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: object, *, usage: bool = True) -> argparse.ArgumentParser:
        one = commands.add_parser(name, allow_abbrev=False)
        one.set_defaults(run=run)
        one.add_argument("--manifest-path", "-m")
        one.add_argument("--verbose", "-v", action="count", default=0)
        one.add_argument("--quiet", "-q", action="count", default=0)
        one.add_argument("--color")
        one.add_argument("--no-progress", action="store_true")
        if usage:
            one.add_argument("--locked", action="store_true", default=is_set("PIXI_LOCKED"))
            one.add_argument("--frozen", action="store_true", default=is_set("PIXI_FROZEN"))
        return one

    one = command("list", list_packages)
    one.add_argument("regex", nargs="?")
    one.add_argument("--json", "--json-pretty", action="store_true")
    one.add_argument("--environment", "-e")
    one.add_argument("--platform")
    one.add_argument("--no-install", action="store_true", default=is_set("PIXI_NO_INSTALL"))
    one.add_argument("--explicit", "-x", action="store_true")
    one = command("lock", lock, usage=False)
    one.add_argument("--check", action="store_true")
    one.add_argument("--dry-run", action="store_true")
    one.add_argument("--json", action="store_true")
    one.add_argument("--no-install", action="store_true")
    one = command("install", install_environments)
    one.add_argument("--environment", "-e", action="append")
    one.add_argument("--all", "-a", action="store_true")
    one.add_argument("--platform", "-p")
    one.add_argument("--run-post-link-scripts", action="store_true")
    one = command("shell-hook", shell_hook)
    one.add_argument("--shell", "-s", choices=["bash"], default="bash")
    one.add_argument("--environment", "-e")
    one.add_argument("--no-install", action="store_true", default=is_set("PIXI_NO_INSTALL"))
    one.add_argument("--as-is", action="store_true")
    one.add_argument("--change-ps1", choices=["true", "false"], default="true")
    one.add_argument("--no-completions", action="store_true")
    one.add_argument("--force-activate", action="store_true")
    one = command("info", info, usage=False)
    one.add_argument("--json", action="store_true")
    return found


def opened(options: argparse.Namespace) -> Workspace:
    """The workspace that a command is about; warns of what is deprecated in its manifest."""
    workspace = workspaces.find(options.manifest_path)
    if said := deprecated.warnings(workspace):
        print(said, file=sys.stderr)
    return workspace


def is_set(variable: str) -> bool:
    """Whether a variable of the environment says yes."""
    return os.environ.get(variable, "").lower() in ("1", "true", "yes", "on")


async def up_to_date(workspace: Workspace, options: argparse.Namespace) -> Lock | None:
    """The lock, which fits where that was asked for; it is made where it may be.

    Raises:
        PixiError: it does not fit, or cannot be made.
    """
    found = locks.load(workspace)
    if options.frozen and not options.locked:
        return found
    reasons = list(fits.complaints(workspace, found))
    for reason in reasons if options.verbose > 1 else ():
        print(f" INFO {reason}", file=sys.stderr)
    if not reasons:
        if found and found.format < locks.FORMAT:
            print(
                warn(
                    f"the lock file is up-to-date but uses an older format (v{found.format}), run `pixi lock` to "
                    f"upgrade to v{locks.FORMAT} for improved reproducibility"
                ),
                file=sys.stderr,
            )
        return found
    if options.locked:
        raise PixiError(STALE)
    workspace.lock.write_text(await solve(workspace, found))
    return locks.load(workspace)


def of_environment(options: argparse.Namespace, workspace: Workspace) -> Environment:
    """The environment that is asked for."""
    return workspace.environment(options.environment or os.environ.get("PIXI_ENVIRONMENT_NAME") or "default")


async def list_packages(options: argparse.Namespace) -> None:
    """`pixi list`."""
    workspace = opened(options)
    environment = of_environment(options, workspace)
    found = await up_to_date(workspace, options)
    platform = named_platform(workspace, options.platform) if options.platform else best_platform(environment)
    packages = (found and found.packages(environment.name, platform)) or Packages([], [], [])
    lines = listing.described(environment, platform, packages, found.format if found else locks.FORMAT)
    lines = listing.selected(lines, options.regex, explicit=options.explicit)
    if options.json:
        print(json.dumps(lines, indent=2, ensure_ascii=False))
    elif not lines:
        raise PixiError(f"No packages found in '{environment.name}' environment for '{platform.name}' platform.")
    else:
        if environment.name != "default":
            print(f"Environment: {environment.name}", file=sys.stderr)
        print(listing.table(lines))


def best_platform(environment: Environment) -> Platform:
    """The platform to list.

    Raises:
        PixiError: this machine has none of them.
    """
    try:
        return environment.platform()
    except PixiError as error:
        name = environment.name
        raise PixiError(f"no platform supported by environment '{name}' matches the current system") from error


def named_platform(workspace: Workspace, name: str) -> Platform:
    """A platform by its name or by its subdir.

    Raises:
        PixiError: there is none of the name.
    """
    known = {one.name: one for environment in workspace.environments.values() for one in environment.platforms}
    if name in known:
        return known[name]
    if name.partition("-")[0] not in BASELINE:
        raise PixiError(f"workspace does not define a platform named '{name}'")
    return Platform(name, name)


async def lock(options: argparse.Namespace) -> None:
    """`pixi lock`, which writes also where it only checks."""
    workspace = opened(options)
    before = locks.load(workspace)
    if before and before.format >= locks.FORMAT and not next(fits.complaints(workspace, before), None):
        print("✔ Lock-file was already up-to-date", file=sys.stderr)
        return
    text = await solve(workspace, before)
    if options.dry_run:
        print("i Dry-run: lock file would be updated (not written to disk)", file=sys.stderr)
    else:
        workspace.lock.write_text(text)
        print("✔ Updated lock file", file=sys.stderr)
        after = locks.load(workspace)
        print("\n".join(changes(before, after, workspace) if after else []), file=sys.stderr)
    if options.check:
        raise PixiError(STALE)


async def install_environments(options: argparse.Namespace) -> None:
    """`pixi install`."""
    workspace = opened(options)
    asked = list(workspace.environments) if options.all else options.environment or ["default"]
    environments = [workspace.environment(name) for name in asked]
    found = await up_to_date(workspace, options)
    for environment in environments:
        platform = environment.platform()
        if options.platform:
            platform = named_platform(workspace, options.platform)
            if platform.name not in {one.name for one in environment.platforms}:
                raise PixiError(f"platform '{platform.name}' is not part of environment '{environment.name}'")
        if found is not None:
            await install.install(environment, platform, found)
    what = (
        f"The {asked[0]} environment has" if len(asked) == 1 else f"The following environments have: {', '.join(asked)}"
    )
    print(f"✔ {what} been installed." if len(asked) == 1 else f"✔ {what}", file=sys.stderr)


async def shell_hook(options: argparse.Namespace) -> None:
    """`pixi shell-hook`."""
    workspace = opened(options)
    environment = of_environment(options, workspace)
    options.frozen = options.frozen or options.as_is
    found = await up_to_date(workspace, options)
    wanted = found is not None and not (options.no_install or options.as_is)
    if wanted and found and not install.is_installed(environment, found):
        await install.install(environment, environment.platform(), found)
    prompt = options.change_ps1 == "true"
    print(
        activation.shell_hook(
            environment, environment.platform(), prompt=prompt, completions=not options.no_completions
        )
    )


async def info(options: argparse.Namespace) -> None:
    """`pixi info`, which says that this is a stand-in."""
    said = {"version": VERSION, "stand_in": True, "virtual_packages": this_machine()}
    print(json.dumps(said, indent=2) if options.json else "\n".join(f"{key}: {value}" for key, value in said.items()))


if __name__ == "__main__":
    ended = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # After a failed download py-rattler's threads would crash while Python shuts down.
    os._exit(ended)
