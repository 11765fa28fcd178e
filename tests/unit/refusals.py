"""Assertions about errors: the code, the location and the facts of the message, but not its sentences."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import pytest

from pipeline.errors import Code, PipelineError

NOWHERE: Final[Mapping[str, str]] = {}


@contextmanager
def refused(
    code: Code, *facts: str, at: Mapping[str, str] = NOWHERE, kind: type[PipelineError] = PipelineError
) -> Iterator[pytest.ExceptionInfo[PipelineError]]:
    """Expect an error in a block of code.

    Args:
        code: code of the error.
        facts: whole words of the message, as :func:`require` takes them.
        at: location of the fault, as :func:`require` takes it.
        kind: class of the error, where code catches a subclass.
    """
    with pytest.raises(kind) as raised:
        yield raised
    require(raised.value, code, *facts, at=at)


def require(error: PipelineError, code: Code, *facts: str, at: Mapping[str, str] = NOWHERE) -> None:
    """Check an error.

    Args:
        error: the error.
        code: its code.
        facts: whole words of its message: the file, key, value or command that the reader needs.
        at: path of the key, or words of the line, in each file that :attr:`PipelineError.at` names, and in no other.
            An empty path is the file as a whole.
    """
    assert error.code is code, f"{error.code} instead of {code}: {error}"
    require_facts(error.message, *facts)
    places = {
        file: {where} if isinstance(where, str) else {".".join(map(str, path)) for path in where} or {""}
        for file, where in error.at.items()
    }
    assert places.keys() == at.keys(), f"{places} instead of {dict(at)}: {error}"
    assert all(where in places[file] for file, where in at.items()), f"{places} instead of {dict(at)}: {error}"
    # Line numbers are added where the message has the file's name.
    assert all(file in error.message for file in places), f"{set(places)} not in: {error}"


def require_facts(text: str, *facts: str) -> None:
    """Check that a message, finding or line has each fact, in whole words."""
    missing = [fact for fact in facts if not re.search(rf"(?<!\w){re.escape(fact)}(?!\w)", text)]
    assert not missing, f"{missing} not in: {text}"
