"""What pixi warns of before it does anything: tables of a manifest that have another form today, drawn as it does."""

import re
from collections.abc import Iterator
from pathlib import Path

from .failures import warn
from .platforms import Platform
from .workspace import Workspace

PROJECT = ("The `project` field is deprecated. Use `workspace` instead.", "replace this with 'workspace'")
REQUIREMENTS = (
    "the `[system-requirements]` table is deprecated in favor of virtual packages on `platforms`",
    "declare these on the `platforms` entries instead",
)


def warnings(workspace: Workspace) -> str:
    """All of them; empty where a manifest has no such table."""
    text = workspace.manifest.read_text(encoding="utf-8-sig")
    found = [_drawn(workspace.manifest, text, *one) for one in _tables(text)]
    if not found:
        return ""
    count = "a warning" if len(found) == 1 else f"{len(found)} warnings"
    example = next((one for one in workspace.platforms if one.declared), None)
    if example and any(REQUIREMENTS[0] in one for one in found):
        found[-1] += f"\n  help: e.g. platforms = [{_entry(example)}]"
    return warn(f"Encountered {count} while parsing the manifest:\n") + "\n\n".join(found) + "\n"


def _tables(text: str) -> Iterator[tuple[int, str, str]]:
    for number, line in enumerate(text.splitlines()):
        header = re.fullmatch(
            r"\s*\[(?:tool\.pixi\.)?(project|(?:feature\.[^.]+\.)?system-requirements)(?:\.\w+)?\]\s*", line
        )
        is_python = "[tool.pixi" in text
        if header and (header[1] != "project" or "[tool.pixi" in line or not is_python):
            yield (number, *(PROJECT if header[1] == "project" else REQUIREMENTS))


def _drawn(path: Path, text: str, first: int, what: str, remedy: str) -> str:
    """A part of a file with a line that leads to what is said of it."""
    lines = text.splitlines()
    last = first
    while last + 1 < len(lines) and lines[last + 1].strip() and not lines[last + 1].startswith("["):
        last += 1
    wide = len(str(min(last + 2, len(lines)))) + 1
    drawn = [f"  ⚠ {what}", f"{' ' * wide} ╭─[{path}:{first + 1}:1]"]
    shown = range(max(first - 1, 0), min(last + 2, len(lines)))
    for number in shown:
        lead = (
            "    "
            if not first <= number <= last
            else "╭─▶ "
            if number == first
            else "├─▶ "
            if number == last
            else "│   "
        )
        drawn.append(f"{number + 1:>{wide}} │ {lead}{lines[number]}")
        if number == last:
            drawn.append(f"{' ' * wide} · ╰──── {remedy}")
    return "\n".join([*drawn, f"{' ' * wide} ╰────"])


def _entry(platform: Platform) -> str:
    declared = "".join(f', {name.strip("_")} = "{version}"' for name, version in platform.declared.items())
    return f'{{ name = "my-{platform.subdir}", platform = "{platform.subdir}"{declared} }}'
