"""The page of `./dev functions`, from what an engine answers."""

import json

import pytest

from tests.sandbox.functions import explain, kebab

ARGUMENT = {"name": "dryRun", "description": "Push nothing", "defaultValue": "false"}
ANSWER = {
    "moduleSource": {
        "asModule": {
            "name": "m",
            "description": "What it is for",
            "objects": [
                {"asObject": {"name": "AnArgument", "constructor": None, "functions": []}},
                {
                    "asObject": {
                        "name": "M",
                        "constructor": {"name": "", "description": "", "args": []},
                        "functions": [
                            {
                                "name": "publishAll",
                                "description": "Publish",
                                "args": [
                                    {**ARGUMENT, "typeDef": {"kind": "BOOLEAN_KIND", "optional": False}},
                                    {
                                        "name": "tag",
                                        "description": "The [tag]",
                                        "defaultValue": None,
                                        "typeDef": {"kind": "STRING_KIND", "optional": False},
                                    },
                                ],
                            }
                        ],
                    }
                },
            ],
        }
    }
}


def test_every_function_and_argument_is_explained() -> None:
    """Function, description, and a line an argument that says whether it must be given."""
    page = [line.rstrip() for line in explain(json.dumps(ANSWER), 100).splitlines()]
    assert page == [
        "What it is for",
        "",
        "dagger call publish-all",
        "  Publish",
        "     --dry-run     Push nothing",
        "     --tag string  The [tag] (required)",
    ]


@pytest.mark.parametrize(
    ("name", "expected"), [("smokeTest", "smoke-test"), ("build", "build"), ("lockDiff2", "lock-diff2")]
)
def test_names_are_as_the_cli_writes_them(name: str, expected: str) -> None:
    """Camel case of the API is kebab case on the command line."""
    assert kebab(name) == expected
