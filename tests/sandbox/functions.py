"""All functions of a module at once, with their arguments, as the engine knows them."""

import io
import json
import re
from typing import Final, TypedDict

from rich.console import Console
from rich.table import Table
from rich.text import Text

QUERY: Final = """
query {
  moduleSource(refString: ".") {
    asModule {
      name
      description
      objects {
        asObject {
          name
          constructor { name description args { ...argument } }
          functions { name description args { ...argument } }
        }
      }
    }
  }
}
fragment argument on FunctionArg { name description defaultValue typeDef { kind optional } }
"""
#: The Dagger CLI's names of the kinds of values.
KINDS: Final = {"STRING_KIND": "string", "INTEGER_KIND": "int", "BOOLEAN_KIND": "", "FLOAT_KIND": "float"}


class TypeDef(TypedDict):
    """The type of an argument."""

    kind: str
    optional: bool


class Argument(TypedDict):
    """An argument, as the engine describes it."""

    name: str
    description: str
    defaultValue: str | None
    typeDef: TypeDef


class Function(TypedDict):
    """A function, as the engine describes it."""

    name: str
    description: str
    args: list[Argument]


def explain(answer: str, width: int) -> str:
    """A page with every function and argument of a module.

    Args:
        answer: what the engine answered to :data:`QUERY`, as JSON.
        width: of the page, in characters.
    """
    module = json.loads(answer)["moduleSource"]["asModule"]
    objects = [each["asObject"] for each in module["objects"]]
    # The object of the module's own name has the functions; arguments of functions can be objects as well.
    main = next(each for each in objects if kebab(each["name"]) == module["name"])
    text = io.StringIO()
    console = Console(file=text, width=width, highlight=False)
    console.print(Text(module["description"].strip()))
    for function in main["functions"]:
        console.print()
        console.print(Text(f"dagger call {kebab(function['name'])}", style="bold"))
        _print(console, function)
    if main["constructor"]["args"]:
        console.print()
        console.print(Text("dagger call OPTION… FUNCTION …", style="bold"))
        _print(console, main["constructor"])
    return text.getvalue()


def kebab(name: str) -> str:
    """A name as the Dagger CLI writes it: smokeTest is smoke-test."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()


def _print(console: Console, function: Function) -> None:
    if function["description"]:
        console.print(Text(f"  {function['description']}"))
    table = Table.grid(padding=(0, 2))
    for argument in function["args"]:
        flag = f"--{kebab(argument['name'])} {KINDS.get(argument['typeDef']['kind'], 'value')}".strip()
        optional = argument["typeDef"]["optional"] or argument["defaultValue"] is not None
        need = "" if optional or function["name"] == "" else " (required)"
        table.add_row("   ", flag, Text(argument["description"] + need))
    if function["args"]:
        console.print(table)
