"""Steps of an engine that fail, for code that makes a sentence of the failure."""

from collections.abc import Callable, Generator
from typing import NoReturn, Self

import dagger
import gql
from dagger._exceptions import QueryErrorValue


def engine_error(message: str) -> dagger.QueryError:
    """The engine's error with a message, as the SDK makes it of an answer."""
    return dagger.QueryError([QueryErrorValue(message)], gql.gql("{ version }"))


def exec_error(stdout: str = "", stderr: str = "", code: int = 1) -> dagger.QueryError:
    """The engine's error for a command that printed something and exited with a code."""
    values = {"_type": "EXEC_ERROR", "cmd": ["program"], "exitCode": code, "stdout": stdout, "stderr": stderr}
    return dagger.QueryError([QueryErrorValue(f"exit code: {code}", extensions=values)], gql.gql("{ version }"))


class Failing:
    """Stands for the engine's client: every step follows, and whatever is awaited fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __getattr__(self, name: str) -> Callable[..., Self]:
        """Return a step."""
        return lambda *_, **__: self

    def __await__(self) -> Generator[None, None, NoReturn]:
        """Fail."""
        yield
        raise self.error
