"""The command line of the sandbox: ``./dev``."""
# ruff: noqa: T201 -- a command line prints

import argparse
import json
import os
import shlex
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Final, NoReturn

from tests.sandbox import commands, sandbox
from tests.sandbox.errors import SandboxError
from tests.sandbox.progress import Progress
from tests.sandbox.sandbox import Up

HELP: Final = """\
usage: ./dev COMMAND [ARGUMENTS]

Runs the pipeline on this machine alone: a real Dagger engine, and servers under the real names of the registries and
the conda channel. All commands but status, down, stop, lint, docs and relock start first what is not running.

  up                 start the sandbox, make it where it is missing, repair it where it is broken
  down [--delete]    stop it; --delete also removes what it keeps (images, results, passwords), but not the built parts
  status [--json]    one line a process: name, address, process id, start, health; exits with 1 when one is not healthy
  stop NAME… [--kill]  stop single services, as a fault would (names: see status); the next command starts them again
  env                print what a shell needs to use it: eval "$(./dev env)"

  call ARGUMENTS…    dagger call in this folder, with the sandbox's pixi.toml and pixi.lock of each image
  functions          explain every function and argument of the module; with arguments, it is dagger functions
  dagger …           any other command of the Dagger CLI, the same way
  exec COMMAND…      run a command inside the sandbox's machine, where its names resolve: ./dev exec skopeo list-tags …

  test [ARGUMENTS…]  pytest in this checkout; tests/unit alone, or -m "not engine", needs no sandbox
  bench [OPTIONS]    measure the pipeline against a Dockerfile: seconds, and bytes that a change pushes
  lint [--quick] [CHECK…]  ruff, mypy, shellcheck, zizmor, actionlint, documents …, and the unit tests under coverage;
                     --quick is without the tests, and a name means that check alone; needs no sandbox
  docs               write the generated pages, and build the site of the documents into docs/site; needs no sandbox
  relock [TIME]      lock the newest Python packages that are a week old, in every lock that there is of them

Everything is kept below ~/.cache/maniac-pipeline (or $XDG_CACHE_HOME); logs are in sandbox/log there.
"""

#: Those with arguments of their own; the others hand theirs on.
COMMANDS: Final = ("up", "down", "status", "stop", "env", "lint", "docs")


def main(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code."""
    command, *rest = arguments or ["--help"]
    try:
        return _run(command, rest)
    except SandboxError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def leave(code: int) -> NoReturn:
    """End this process, without waiting for downloads of a failed command: what they leave half-made is thrown away."""
    if code and threading.active_count() > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _run(command: str, rest: list[str]) -> int:
    match command:
        case "functions" if not rest:
            return commands.explain_functions(_up())
        case "call" | "functions":
            return commands.dagger(_up(), [command, *rest])
        case "dagger":
            return commands.dagger(_up(), rest)
        case "exec":
            commands.run_inside(_up(), rest)
        case "bench":
            commands.run_bench(_up(), rest)
        case "test":
            commands.run_tests(_up() if commands.needs_sandbox(rest) else None, rest)
        case "relock":
            commands.relock(rest)
        case "-h" | "--help" | "help":
            print(HELP, end="")
            return 0
        case _ if command in COMMANDS:
            return _run_own(command, _parse(command, rest))
    print(f"error: There is no command {command}; ./dev --help lists those that there are.", file=sys.stderr)
    return 2


def _run_own(command: str, options: argparse.Namespace) -> int:
    match command:
        case "up":
            started = time.monotonic()
            _up()
            print(f"The sandbox is up ({time.monotonic() - started:.1f} s).", file=sys.stderr)
        case "down":
            with Progress() as progress:
                sandbox.down(progress, delete=options.delete)
        case "stop":
            sandbox.stop(options.names, force=options.kill)
        case "status":
            return _print_status(as_json=options.json)
        case "env":
            for name, value in _up().environment().items():
                print(f"export {name}={shlex.quote(value)}")
        case "lint":
            return commands.lint(options.checks, quick=options.quick)
        case "docs":
            return commands.make_documents()
    return 0


def _parse(command: str, rest: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev", usage="./dev --help lists the commands", add_help=False)
    commands_ = parser.add_subparsers(required=True, metavar="COMMAND", prog="./dev")
    for name in ("up", "env", "docs"):
        commands_.add_parser(name)
    linting = commands_.add_parser("lint")
    linting.add_argument("checks", nargs="*", metavar="CHECK")
    linting.add_argument("--quick", action="store_true")
    commands_.add_parser("down").add_argument("--delete", action="store_true")
    commands_.add_parser("status").add_argument("--json", action="store_true")
    stopping = commands_.add_parser("stop")
    stopping.add_argument("names", nargs="+", metavar="NAME")
    stopping.add_argument("--kill", action="store_true")
    return parser.parse_args([command, *rest])


def _up() -> Up:
    with Progress() as progress:
        return sandbox.up(progress)


def _print_status(*, as_json: bool) -> int:
    lines = sandbox.status()
    if as_json:
        print(json.dumps([asdict(line) for line in lines], indent=2))
    else:
        rows = [("SERVICE", "PID", "SINCE", "HEALTHY", "ADDRESS")]
        for line in lines:
            since = "-" if line.since is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(line.since))
            rows.append((line.name, str(line.pid or "-"), since, "yes" if line.healthy else "no", line.address))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0 if all(line.healthy for line in lines) else 1


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
