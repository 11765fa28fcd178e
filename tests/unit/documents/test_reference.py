"""Generated pages have all that the code has, and are the ones that are committed."""

import inspect
import re
from pathlib import Path
from typing import get_args, get_type_hints

from dagger import Name

from pipeline.errors import Code
from pipeline.main import Pipeline
from tests.documents.__main__ import GENERATED, stale_pages
from tests.documents.errors import errors
from tests.documents.reference import PAGE, kebab_name, reference

CHECKOUT = Path(__file__).parents[3]


def written() -> dict[str, set[str]]:
    """The functions of the page, with their arguments; checks are in a table."""
    sections = re.split(r"^### ", reference().partition("## Checks")[0], flags=re.MULTILINE)[1:]
    return {part.splitlines()[0]: set(re.findall(r"^- `--([\w-]+)`", part, re.MULTILINE)) for part in sections}


def defined() -> dict[str, set[str]]:
    """The functions of main.py, with their arguments, read without Dagger's SDK."""
    found = {}
    for name, function in inspect.getmembers(Pipeline, inspect.isfunction):
        if not hasattr(function, "__dagger_function__") or function.__dagger_function__.check:
            continue
        hints = get_type_hints(function, include_extras=True)
        arguments = [argument for argument in inspect.signature(function).parameters if argument != "self"]
        named = {each: [part.name for part in get_args(hints[each]) if isinstance(part, Name)] for each in arguments}
        found[kebab_name(name)] = {kebab_name((named[each] or [each])[0]) for each in arguments}
    return found


def test_every_function_and_argument_is_there() -> None:
    """And no other: the page is compared with the code."""
    assert written() == defined()
    assert {"build", "publish", "lock-diff"} <= set(written())


def test_every_check_is_there() -> None:
    """In the table of checks."""
    checks = reference().partition("## Checks")[2]
    names = [name for name, each in vars(Pipeline).items() if hasattr(each, "__dagger_function__")]
    wanted = {kebab_name(name) for name in names if getattr(Pipeline, name).__dagger_function__.check}
    assert set(re.findall(r"^\| `([\w-]+)` \|", checks, re.MULTILINE)) == wanted


def test_every_error_code_is_there() -> None:
    """With a heading of its own, so that a link can lead to it."""
    assert re.findall(r"^## (.*)$", errors(), re.MULTILINE) == sorted(code.code for code in Code)


def test_the_committed_pages_are_current(tmp_path: Path) -> None:
    """A changed help text without a changed page is found, as is a page that is not there."""
    assert stale_pages(CHECKOUT) == []
    (tmp_path / "docs").mkdir()
    (tmp_path / PAGE).write_text(reference() + "more\n", encoding="utf-8")
    assert len(stale_pages(tmp_path)) == len(GENERATED)
