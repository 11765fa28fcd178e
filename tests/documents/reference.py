"""The reference of the command line, written from the module as Dagger's SDK reads it: no engine is asked."""

import enum
import inspect
import json
import textwrap
import types
import typing
from typing import Any, Final

import dagger
from dagger.mod._arguments import Parameter
from dagger.mod._resolver import Function, ObjectType

from pipeline.main import Pipeline
from tests.documents.markdown import WIDTH
from tests.sandbox.functions import kebab

PAGE: Final = "docs/reference.md"
HEAD: Final = """\
# Reference

Every function of the command line, with its arguments. This page is generated from `pipeline/main.py` by `./dev docs`;
`dagger functions` and `dagger call FUNCTION --help` show the same on a terminal.

Functions are chained in one call: `dagger call with-registry-auth … publish …`. A function that returns a container, a
file or a changeset can be followed by Dagger's own functions: `build … terminal`, `sbom … export --path FILE`. A list
takes its option several times, or values with commas between them. A secret is `env:NAME`, `file:PATH`, `cmd:COMMAND`
or `op://…`, never plain text.
"""
#: The Dagger CLI's names for types of Python and of its own.
TYPES: Final = {str: "string", int: "int", bool: "flag", dagger.Directory: "directory"}
NULL: Final = "null"


def reference() -> str:
    """The page, as Markdown."""
    main: ObjectType[Pipeline] = Pipeline.__dagger_object_type__  # type: ignore[attr-defined]  # set by @object_type
    functions = {name: each for name, each in main.functions.items() if name}
    parts = [HEAD, "## Functions\n"]
    parts += [_section(name, each) for name, each in functions.items() if not each.check]
    parts += ["## Checks\n", "`dagger check` runs all of them; `dagger call CHECK` runs one. They take no arguments.\n"]
    parts += ["| check | passes when |", "|---|---|"]
    parts += [f"| `{kebab_name(name)}` | {_text(each.doc)} |" for name, each in functions.items() if each.check]
    parts += ["", "## For every call\n", "Before the function: `dagger call --source DIRECTORY FUNCTION …`.\n"]
    parts += [_list(dict(main.get_constructor().parameters)), ""]
    return "\n".join(parts)


def kebab_name(name: str) -> str:
    """A name of Python as the command line has it."""
    return kebab(name.replace("_", "-"))


def _section(name: str, function: Function[Any, Any]) -> str:
    lines = [f"### {kebab_name(name)}\n", f"{_text(function.doc)}.\n"]
    lines += [f"Returns: {_type(function.return_type)}\n"] if function.return_type is not str else []
    lines += [_list(dict(function.parameters)), ""] if function.parameters else []
    return "\n".join(lines)


def _list(parameters: dict[str, Parameter]) -> str:
    return "\n".join(
        textwrap.fill(
            f"- `--{kebab_name(each.name)}` ({_need(each)}): {_text(each.doc)}.",
            WIDTH,
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        for each in parameters.values()
    )


def _need(parameter: Parameter) -> str:
    kind = _type(parameter.resolved_type)
    if parameter.default_path:
        return f"{kind}; the checkout by default"
    if parameter.default_value is None:
        return f"{kind}, required"
    if parameter.default_value in {NULL, "false", "[]"}:
        return kind
    return f"{kind}; `{json.loads(parameter.default_value)}` by default"


def _type(annotation: Any) -> str:  # noqa: ANN401  # an annotation is anything
    if isinstance(annotation, types.UnionType):
        return _type(next(each for each in typing.get_args(annotation) if each is not types.NoneType))
    if typing.get_origin(annotation) is list:
        return f"list of {_type(typing.get_args(annotation)[0])}"
    if inspect.isclass(annotation) and issubclass(annotation, enum.Enum):
        return " or ".join(f"`{member}`" for member in annotation.__members__)
    if annotation is Pipeline:
        return "the module, for the next function"
    return TYPES.get(annotation) or annotation.__name__.lower()


def _text(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")
