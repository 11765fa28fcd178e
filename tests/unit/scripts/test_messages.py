"""Messages between the pipeline and its scripts are the same classes on both sides."""

import ast
import json
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from pipeline.scripts import messages
from pipeline.scripts.messages import Kind, Origin, RegistryFailure, RepositoryReport, TagResult


def test_they_need_the_standard_library_alone() -> None:
    """A tool container has no pydantic, and of the pipeline only what is mounted."""
    nodes = list(ast.walk(ast.parse(Path(messages.__file__).read_text(encoding="utf-8"))))
    imported = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    imported |= {f"{'.' * node.level}{node.module}" for node in nodes if isinstance(node, ast.ImportFrom)}
    assert "dataclasses" in imported
    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names


def test_a_message_is_read_as_it_was_written() -> None:
    """With the messages inside it, in their own classes."""
    failure = RegistryFailure("reading the tags", "", Kind.DENIED, "403", tries=1, seconds=0.5)
    row = TagResult("latest", "sha256:1", pushed=True, bytes=5, seconds=1.5, tries=2)
    report = RepositoryReport(tags=["latest"], digests={"latest": "sha256:1"}, rows=[row], failure=failure)
    report.origins = {"latest": Origin("0123", "2026-01-02T03:04:05Z")}
    assert TypeAdapter(RepositoryReport).validate_json(json.dumps(asdict(report))) == report


@pytest.mark.parametrize("text", ["", "[]", '{"tags": "latest"}', '{"failure": {"kind": "denied"}}', '{"changed": 2}'])
def test_what_is_no_message_is_rejected(text: str) -> None:
    """As text that is not JSON, another type, or a message that lacks a field."""
    with pytest.raises(ValidationError):
        TypeAdapter(RepositoryReport).validate_json(text)
