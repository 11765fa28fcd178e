"""Commands of ``./dev`` besides starting and stopping: calls of Dagger, tests and checks, each where it belongs."""
# ruff: noqa: T201 -- a command line prints

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

from tests.sandbox import functions, processes, programs
from tests.sandbox.errors import SandboxError
from tests.sandbox.machine import Machine
from tests.sandbox.sandbox import Up

#: The checkout that this file belongs to.
CHECKOUT: Final = Path(__file__).resolve().parents[2]

#: Seconds that the CLI gets to end by itself once its engine has ended.
GRACE: Final = 2
#: The number that a shell adds to the number of the signal that ended a command.
KILLED: Final = 128

#: Puts files over others in a mount namespace of its own, then becomes the command: pairs, ``--``, command.
OVER: Final = """
while [ "$1" != -- ]; do
    mount --bind "$1" "$2"
    shift 2
done
shift
exec "$@"
"""


def dagger(sandbox: Up, arguments: list[str]) -> int:
    """Run the Dagger CLI in the current folder, and return its exit code; terminal and signals are its own.

    Raises:
        SandboxError: the engine ended before the CLI did. The CLI would wait for it for ever.
    """
    command = with_overlay([str(sandbox.parts.client), *arguments], sandbox.instead)
    engine = sandbox.engine
    # Ctrl-C reaches the CLI by itself, and it is the one that ends. A handler, since what is ignored is inherited.
    signal.signal(signal.SIGINT, lambda *_: None)
    with subprocess.Popen(command, env={**os.environ, **sandbox.environment()}) as client:
        signal.signal(signal.SIGTERM, lambda number, _: client.send_signal(number))
        if processes.outlives(engine, client, grace=GRACE):
            return client.returncode if client.returncode >= 0 else KILLED - client.returncode
        client.kill()
    raise SandboxError(
        f"The engine ended in the middle of the call: see {sandbox.state.log / 'engine.log'}. "
        "Run the same command again: it starts the engine, and what was finished is not done again."
    )


def explain_functions(sandbox: Up) -> int:
    """Print every function and argument of the module in the current folder, and return an exit code."""
    command = with_overlay([str(sandbox.parts.client), "query", "--progress=plain"], sandbox.instead)
    asked = subprocess.run(
        command,
        input=functions.QUERY,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **sandbox.environment()},
    )
    if asked.returncode:
        print(asked.stderr, end="", file=sys.stderr)
        return asked.returncode
    print(functions.explain(asked.stdout, shutil.get_terminal_size((120, 0)).columns), end="")
    return 0


def run_inside(sandbox: Up, arguments: list[str]) -> NoReturn:
    """Become a command inside the machine.

    Raises:
        SandboxError: no command was given.
    """
    if not arguments:
        raise SandboxError("Say which command to run inside the machine, as in ./dev exec skopeo --version.")
    _become(Machine(sandbox.state).command(arguments), {})


def run_tests(sandbox: Up | None, arguments: list[str]) -> NoReturn:
    """Become pytest in the checkout; ``sandbox`` is None when unit tests alone are asked for."""
    os.chdir(CHECKOUT)
    command = [sys.executable, "-m", "pytest", *spread(arguments), *arguments]
    if sandbox is None:
        _become(command, {})
    # Without the overlay: unit tests look at the files that users get, and engine tests type ./dev call.
    _become(command, sandbox.environment())


def run_bench(sandbox: Up, arguments: list[str]) -> NoReturn:
    """Become the benchmark."""
    os.chdir(CHECKOUT)
    _become([sys.executable, "-m", "tests.bench", *arguments], sandbox.environment())


def relock(arguments: list[str]) -> NoReturn:
    """Become the script that locks Python's packages, with the uv of the virtual environment."""
    os.chdir(CHECKOUT)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    _become(["bash", "tests/relock", *arguments], {"PATH": path})


def needs_sandbox(arguments: list[str]) -> bool:
    """Whether pytest with these arguments may run an engine test: not when all paths are unit or browser tests."""
    if any("not engine" in argument for argument in arguments):
        return False
    paths = [Path(argument.partition("::")[0]) for argument in arguments if not argument.startswith("-")]
    tests = [path for path in paths if path.exists() or (CHECKOUT / path).exists()]
    without = [CHECKOUT / "tests" / name for name in ("unit", "browser")]
    resolved = [(CHECKOUT / path).resolve() for path in tests]
    return not tests or not all(any(path.is_relative_to(folder) for folder in without) for path in resolved)


def spread(arguments: list[str]) -> list[str]:
    """Options that let pytest use several processes: not where single files are asked for, which end sooner in one."""
    paths = [Path(argument.partition("::")[0]) for argument in arguments if not argument.startswith("-")]
    single = any((CHECKOUT / path).is_file() for path in paths)
    return [] if single else ["--numprocesses=auto", "--dist=loadfile"]


def with_overlay(command: list[str], instead: dict[Path, Path], checkout: Path = CHECKOUT) -> list[str]:
    """The command that runs another one with files of the checkout replaced, for it and its children only.

    A file that the checkout lacks cannot be replaced, and stays missing.
    """
    pairs = []
    for path, source in instead.items():
        if (checkout / path).exists():
            pairs += [str(source), str(checkout / path)]
    if not pairs:
        return command
    return ["unshare", "--mount", "--propagation=private", "sh", "-euc", OVER, "sh", *pairs, "--", *command]


def lint(names: Sequence[str] = (), *, quick: bool = False) -> int:
    """Run every check, or those of these names, and return 1 when one found something; quick ones are without tests.

    Raises:
        SandboxError: there is no check of a name, or one cannot be made.
    """
    os.chdir(CHECKOUT)
    known = checks()
    if unknown := set(names) - set(known):
        raise SandboxError(f"There is no check {', '.join(sorted(unknown))}; there are: {', '.join(known)}.")
    chosen = names or [name for name in known if not (quick and name == "coverage")]
    failed = [name for name, command in known.items() if name in chosen and not _passes(name, command)]
    if failed:
        print(f"lint: {', '.join(failed)} found something", file=sys.stderr)
    return 1 if failed else 0


def make_documents() -> int:
    """Write what is generated of the documents, build the site, and return an exit code."""
    return subprocess.run([sys.executable, "-m", "tests.documents", "build"], check=False, cwd=CHECKOUT).returncode


def checks() -> dict[str, list[str]]:
    """Every check of the checkout in the current folder, by name.

    Raises:
        SandboxError: actionlint is not there and cannot be compiled.
    """
    python, programs_ = [sys.executable, "-m"], Path(sys.executable).parent
    validate = [str(programs_ / "check-jsonschema"), "--builtin-schema"]
    forms = Path(".github/ISSUE_TEMPLATE")
    return {
        "ruff-check": [*python, "ruff", "check"],
        "ruff-format": [*python, "ruff", "format", "--check"],
        "mypy": [*python, "mypy"],
        "import-linter": [str(programs_ / "lint-imports"), "--no-cache", "--no-logo"],
        "words": [*python, "tests.words"],
        "spelling": [str(programs_ / "codespell")],
        "documents": [*python, "tests.documents", "check"],
        "shellcheck": [*python, "tests.lint.shell"],
        "pre-commit": [str(programs_ / "pre-commit"), "validate-config"],
        "citation": [*validate, "vendor.citation-file-format", "CITATION.cff"],
        "dependabot": [*validate, "vendor.dependabot", ".github/dependabot.yml"],
        "issue-forms": [*validate, "vendor.github-issue-forms", *map(str, sorted(forms.glob("[!c]*.yml")))],
        "issue-chooser": [*validate, "vendor.github-issue-config", str(forms / "config.yml")],
        **workflow_checks(Path(".github/workflows")),
        "gofmt": [*python, "tests.lint.gofmt"],
        "coverage": [*python, "tests.lint.coverage"],
    }


def workflow_checks(folder: Path) -> dict[str, list[str]]:
    """The checks of GitHub's workflows, by name; none where there are no workflows.

    Raises:
        SandboxError: actionlint is not there and cannot be compiled.
    """
    workflows = [str(path) for path in sorted(folder.glob("*.y*ml"))]
    if not workflows:
        return {}
    zizmor = Path(sys.executable).with_name("zizmor")
    actionlint = programs.program("actionlint", lambda text: print(f"lint: {text}", file=sys.stderr))
    shellcheck = Path(sys.executable).with_name("shellcheck")
    # The same everywhere: it would call another checker where a machine happens to have it.
    return {
        "zizmor": [str(zizmor), "--offline", *workflows],
        "actionlint": [str(actionlint), f"-shellcheck={shellcheck}", "-pyflakes=", *workflows],
    }


def _passes(name: str, command: list[str]) -> bool:
    print(f"lint: {name}", file=sys.stderr, flush=True)
    return subprocess.run(command, check=False).returncode == 0


def _become(command: list[str], environment: dict[str, str]) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    os.execvpe(command[0], command, {**os.environ, **environment})  # noqa: S606 -- no shell is what is wanted
