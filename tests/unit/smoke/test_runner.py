"""Commands in images with a shell and without one, on an engine that is made up."""

from dataclasses import dataclass, replace
from typing import cast

import dagger
import gql
import pytest
from dagger._exceptions import QueryErrorValue

from pipeline.config.probes import CommandProbe, Probes
from pipeline.smoke.evaluate import Subject
from pipeline.smoke.runner import Prober

pytestmark = pytest.mark.asyncio
#: The engine's output for a program that is not there.
GONE = 'exec: "{}": executable file not found in $PATH'


@dataclass(frozen=True)
class Image:
    """An image with programs that end with the exit code in their first argument, as far as a probe asks for it."""

    programs: tuple[str, ...]
    words: tuple[str, ...] = ()
    fails: bool = False

    def with_mounted_file(self, *_: object) -> "Image":
        """As the script that limits the time."""
        return self

    def with_exec(self, words: list[str], expect: dagger.ReturnType = dagger.ReturnType.SUCCESS) -> "Image":
        """Run a command, which may be expected to fail."""
        return replace(self, words=tuple(words), fails=expect is dagger.ReturnType.FAILURE)

    async def exit_code(self) -> int:
        """Of the command, below the script or not."""
        return int(self.words[-1]) if self.words[0] in self.programs else 1

    async def stderr(self) -> str:
        """Of the command."""
        return "" if self.words[0] in self.programs else GONE.format(self.words[0])

    async def stdout(self) -> str:
        """Of the command, which ends as the engine lets it."""
        code, stderr = await self.exit_code(), await self.stderr()
        if bool(code) != self.fails:
            facts = {"_type": "EXEC_ERROR", "cmd": [], "exitCode": code, "stdout": "", "stderr": stderr}
            error = QueryErrorValue("exit code", extensions=facts)
            raise dagger.QueryError([error], gql.GraphQLRequest("{ container { id } }"))
        return ""


async def failure(programs: tuple[str, ...], *command: str, expected: int = 0) -> str:
    """The failure of a probe in an image with some programs; empty where it passed."""
    container = cast("dagger.Container", Image(programs))
    prober = Prober(container, Subject("small"), (), "", 60, "python:3.12-slim")
    probe = CommandProbe(command=command, exit_code=expected, entrypoint=False)
    (result,) = await prober.run(Probes(scripts=(), commands=(probe,)))
    return result.failure


@pytest.mark.parametrize(
    ("command", "expected", "failing"),
    [
        (("tool", "0"), 0, ""),
        (("tool", "3"), 3, ""),
        (("tool", "3"), 0, "exited with 3"),
        (("tool", "4"), 3, "exited with 4 instead of 3"),
        (("tool", "0"), 3, "exited with 0 instead of 3"),
        (("sh", "0"), 0, "needs sh, which the image does not have"),
        # As the engine ends where it cannot start a program.
        (("other", "1"), 1, "needs other, which the image does not have"),
    ],
)
async def test_a_command_runs_without_a_shell(command: tuple[str, ...], expected: int, failing: str) -> None:
    """A program that it needs itself has to be there, and its own exit code counts."""
    assert await failure(("tool",), *command, expected=expected) == failing


async def test_a_shell_limits_a_command_where_there_is_one() -> None:
    """The end of the script is the end of the probe."""
    assert await failure(("sh", "tool"), "tool", "0") == ""
    assert await failure(("sh",), "tool", "1") == "ended without an exit code, as when memory runs out"
