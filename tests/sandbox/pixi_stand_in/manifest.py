"""A manifest as a file: TOML 1.1, and what a Python project says beside pixi's own tables."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .failures import PixiError
from .platforms import Table


def parse(path: Path) -> Table:
    """The content of a TOML 1.1 file, with or without a byte order mark.

    Raises:
        PixiError: it is not TOML.
    """
    try:
        return tomli.loads(path.read_text(encoding="utf-8-sig"))
    except tomli.TOMLDecodeError as error:
        raise PixiError(f"{error.msg}\n   ╭─[{path}:{error.lineno}:{error.colno}]\n   ╰────") from error
    except UnicodeDecodeError as error:
        raise PixiError(f"stream did not contain valid UTF-8: {path}") from error


def pixi_table(path: Path, document: Table) -> Table:
    """What of a manifest is pixi's."""
    return document.get("tool", {}).get("pixi", {}) if path.name == "pyproject.toml" else document


def with_python(document: Table, tables: dict[str, Table]) -> dict[str, Table]:
    """Features with what a Python project says of itself: what it needs, and its groups of extras."""
    project, default = document.get("project", {}), tables["default"]
    groups: dict[str, list[str]] = {**project.get("optional-dependencies", {})}
    groups |= {
        name: [one for one in group if isinstance(one, str)]
        for name, group in document.get("dependency-groups", {}).items()
    }
    own = canonicalize_name(project.get("name", ""))
    if "python" not in default.get("dependencies", {}):
        version = project.get("requires-python", "*").removeprefix("==")
        default = {**default, "dependencies": {**default.get("dependencies", {}), "python": version}}
    found = {**tables, "default": with_requirements(default, project.get("dependencies", []))}
    for name, group in groups.items():
        found[name] = with_requirements(found.get(name, {}), expanded(own, groups, group))
    return found


def expanded(own: str, groups: Mapping[str, list[str]], group: list[str]) -> list[str]:
    """The requirements of a group, with those of the project's other groups that it names."""
    found: list[str] = []
    for text in group:
        requirement = Requirement(text)
        if canonicalize_name(requirement.name) != own:
            found.append(text)
        for extra in sorted(requirement.extras) if canonicalize_name(requirement.name) == own else ():
            found += expanded(own, groups, groups.get(extra, []))
    return found


def with_requirements(table: Table, requirements: list[str]) -> Table:
    """A feature's table with requirements of PyPI packages added to its own."""
    found: dict[str, list[Any]] = {
        name: [value] if not isinstance(value, list) else value
        for name, value in table.get("pypi-dependencies", {}).items()
    }
    for text in requirements:
        requirement = Requirement(text)
        version = re.sub(r"^[\w.-]+\s*(?:\[[^]]*\])?\s*\(?|\)?\s*(?:;.*)?$", "", text)
        wanted = {"version": version or "*", "extras": sorted(requirement.extras)}
        if requirement.url:
            wanted = {"url": requirement.url, "extras": sorted(requirement.extras)}
        if requirement.marker:
            wanted["env-markers"] = str(requirement.marker)
        key = next(
            (name for name in found if canonicalize_name(name) == canonicalize_name(requirement.name)), requirement.name
        )
        found.setdefault(key, []).append(wanted)
    return {**table, "pypi-dependencies": found}
