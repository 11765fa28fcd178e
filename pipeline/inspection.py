"""Checks of an image's state: pure functions whose findings name the file and line to change."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pipeline.config.image_toml import FILE, ImageSpec
from pipeline.config.toml_locations import first_line_of, format_location
from pipeline.config.validation import listed
from pipeline.scripts.sizes import size as format_size

#: Paths that must not be in an image, by their class in ``scripts/inspect.sh``: the problem and the remedy.
UNWANTED: Final = {
    "closed": ("not every user can read or enter", "give it mode 0644, or 0755 for a folder or a program"),
    "open": ("everybody can write", "take the write permission of others away, or make a folder sticky (1777)"),
    "cache": ("only made the build faster", "remove it in the step that makes it, or keep it in a cache mount"),
    "left": ("the build left in a temporary folder", "remove it in the step that makes it"),
    "secret": (
        "may hold a password or a key",
        "give the step a secret mount instead ('with-build-secret' gives the secret), and change what was in it",
    ),
}
#: Labels that every image has, without their prefix.
LABELS: Final = ("title", "description")


@dataclass(frozen=True)
class Facts:
    """State of an image as its files show it, from ``scripts/inspect.sh``."""

    paths: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Paths by their class in :data:`UNWANTED`."""

    active: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """CONDA_PREFIX and PATH that each activation script sets, by script."""

    size: int = 0
    """Bytes of all files; 0 if the image has no program that counts them."""


def read_facts(output: str) -> Facts:
    """Parse the output of ``scripts/inspect.sh``."""
    paths: dict[str, set[str]] = {kind: set() for kind in UNWANTED}
    active: dict[str, tuple[str, str]] = {}
    size = 0
    for line in output.splitlines():
        kind, _, value = line.partition("\t")
        if kind == "size":
            size = int(value) * 1024 if value.isdecimal() else 0
        elif kind == "active":
            script, prefix, path = (*value.split(" ", 2), "", "")[:3]
            active[script] = (prefix, path)
        elif kind in paths:
            paths[kind].add(value)
    return Facts({kind: frozenset(of_kind) for kind, of_kind in paths.items()}, active, size)


def find_unwanted(image: str, spec: ImageSpec, text: str, facts: Facts, base: Facts) -> list[str]:
    """Return a finding for each class of unwanted paths in an image; those of its base image do not count.

    Args:
        image: its name.
        spec: its image.toml.
        text: the text of image.toml.
        facts: facts about the image.
        base: facts about its base image.
    """
    findings = []
    for kind, (problem, remedy) in UNWANTED.items():
        paths = sorted(facts.paths.get(kind, frozenset()) - base.paths.get(kind, frozenset()))
        if paths:
            count = f"{len(paths)} path{'s' * (len(paths) > 1)}"
            where = format_location(*_origin(image, spec, text, paths))
            findings.append(f"{where}: image {image} has {count} that {problem} ({listed(paths)}); {remedy}")
    return findings


def find_inactive(image: str, facts: Facts, prefix: str, variables: Mapping[str, str]) -> list[str]:
    """Return a finding for each way to start a command without the entrypoint that does not activate the environment.

    Args:
        image: its name.
        facts: facts about the image.
        prefix: path of its environment.
        variables: the image's environment variables.
    """
    ways = {
        "for a command that skips the entrypoint (docker exec)": (
            variables.get("CONDA_PREFIX", ""),
            variables.get("PATH", ""),
        ),
        **{f"where variables are ignored too ({script})": values for script, values in facts.active.items()},
    }
    return [
        f"{image}/{FILE}: the environment {prefix} is not active {way}: CONDA_PREFIX is '{active}', PATH '{path}'; "
        "do not set these in [env]"
        for way, (active, path) in ways.items()
        if active != prefix or not _comes_first(prefix, path.split(":"))
    ]


def _comes_first(prefix: str, folders: Sequence[str]) -> bool:
    """Return whether an environment's programs come before all others; its packages may add folders before them."""
    programs = f"{prefix}/bin"
    before = folders[: folders.index(programs)] if programs in folders else folders
    return programs in folders and all(folder.startswith(f"{prefix}/") for folder in before)


def find_missing_labels(image: str, spec: ImageSpec, required: Iterable[str], labels: Mapping[str, str]) -> list[str]:
    """Return a finding about required labels that are missing, or differ from image.toml."""
    names = {f"org.opencontainers.image.{name}" for name in required}
    values = {"org.opencontainers.image.title": image, "org.opencontainers.image.description": spec.description}
    missing = [f"{name} is missing" for name in sorted(names - labels.keys())]
    wrong = [f"{name} is '{labels[name]}'" for name, value in values.items() if labels.get(name, value) != value]
    if not (missing or wrong):
        return []
    return [f"{image}/{spec.dockerfile or FILE}: labels of image {image}: {listed([*missing, *wrong])}; correct them"]


def find_excess(image: str, spec: ImageSpec, text: str, size: int) -> list[str]:
    """Return a finding where an image's files exceed its size budget, or where their size is unknown."""
    if spec.size_budget is None or 0 < size <= spec.size_budget:
        return []
    where = format_location(f"{image}/{FILE}", first_line_of(text, (("size_budget",),)))
    if not size:
        return [
            f"{where}: the size of image {image} is unknown, because it has no 'du -skx'; add coreutils or BusyBox to "
            "it, or remove 'size_budget'"
        ]
    return [
        f"{where}: the files of image {image} take {format_size(size)}, more than the "
        f"{format_size(spec.size_budget)} of 'size_budget'; leave packages or files out, or raise it"
    ]


def _origin(image: str, spec: ImageSpec, text: str, paths: Sequence[str]) -> tuple[str, int | None]:
    """Return the file and line that add the first of these paths, where that is a file of image.toml."""
    for number, file in enumerate(spec.files):
        if file.path in paths:
            return f"{image}/{FILE}", first_line_of(text, (("files", number),))
    return f"{image}/{spec.dockerfile or FILE}", None
