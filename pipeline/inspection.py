"""What a checkout and its images have to be like: pure decisions, each finding with the file and line to change."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pipeline.config.image_toml import FILE, ImageSpec
from pipeline.config.toml_locations import first_line_of, place
from pipeline.config.validation import listed

#: What must not be in an image, by what ``scripts/inspect.sh`` calls it: what is told of it, and what to do.
UNWANTED: Final = {
    "closed": ("not every user can read or enter", "give it mode 0644, or 0755 for a folder or a program"),
    "open": ("everybody can write", "take the write permission of others away, or make a folder sticky (1777)"),
    "cache": ("only made the build faster", "remove it in the step that makes it, or keep it in a cache mount"),
    "left": ("the build left in a temporary folder", "remove it in the step that makes it"),
    "secret": ("may hold a password or a key", "give the step a secret mount instead, and change what was in it"),
}
#: Labels that every image has, by the end of their names.
LABELS: Final = ("title", "description")


@dataclass(frozen=True)
class Facts:
    """What ``scripts/inspect.sh`` tells of an image."""

    paths: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Paths by what is told of them, as :data:`UNWANTED` calls it."""

    active: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """For each script that activates the image: where it says that the environment is, and the search path it sets."""

    size: int = 0
    """Bytes that the files take."""


def read_facts(output: str) -> Facts:
    """What a run of ``scripts/inspect.sh`` found."""
    paths: dict[str, set[str]] = {kind: set() for kind in UNWANTED}
    active: dict[str, tuple[str, str]] = {}
    size = 0
    for line in output.splitlines():
        kind, _, value = line.partition("\t")
        if kind == "size":
            size = int(value) * 1024
        elif kind == "active":
            script, prefix, path = (*value.split(" ", 2), "", "")[:3]
            active[script] = (prefix, path)
        elif kind in paths:
            paths[kind].add(value)
    return Facts({kind: frozenset(found) for kind, found in paths.items()}, active, size)


def find_unwanted(image: str, spec: ImageSpec, text: str, facts: Facts, base: Facts) -> list[str]:
    """What an image has that it must not have; what its base image has already is not of its making.

    Args:
        image: its name.
        spec: its image.toml.
        text: the text of that file.
        facts: what was found in the image.
        base: what was found in its base.
    """
    findings = []
    for kind, (told, remedy) in UNWANTED.items():
        found = sorted(facts.paths.get(kind, frozenset()) - base.paths.get(kind, frozenset()))
        if found:
            count = f"{len(found)} path{'s' * (len(found) > 1)}"
            where = place(*_origin(image, spec, text, found))
            findings.append(f"{where}: image {image} has {count} that {told} ({listed(found)}); {remedy}")
    return findings


def find_inactive(image: str, facts: Facts, prefix: str, variables: Mapping[str, str]) -> list[str]:
    """Ways of starting a command, besides the entrypoint, in which an image's environment is not active.

    Args:
        image: its name.
        facts: what was found in the image.
        prefix: where its environment is.
        variables: those that the image gives to every command.
    """
    ways = {
        "for a command that skips the entrypoint (docker exec)": (
            variables.get("CONDA_PREFIX", ""),
            variables.get("PATH", ""),
        ),
        **{f"where variables are ignored too ({script})": found for script, found in facts.active.items()},
    }
    return [
        f"{image}/{FILE}: the environment {prefix} is not active {way}: CONDA_PREFIX is '{found}', PATH '{path}'; "
        "do not set these in [env]"
        for way, (found, path) in ways.items()
        if found != prefix or not _comes_first(prefix, path.split(":"))
    ]


def _comes_first(prefix: str, folders: Sequence[str]) -> bool:
    """Whether programs of an environment are found before all others; its packages may have put folders before."""
    programs = f"{prefix}/bin"
    before = folders[: folders.index(programs)] if programs in folders else folders
    return programs in folders and all(folder.startswith(f"{prefix}/") for folder in before)


def find_missing_labels(image: str, spec: ImageSpec, wanted: Iterable[str], labels: Mapping[str, str]) -> list[str]:
    """Labels that an image should have and has not, or with another value than its image.toml says."""
    names = {f"org.opencontainers.image.{name}" for name in wanted}
    values = {"org.opencontainers.image.title": image, "org.opencontainers.image.description": spec.description}
    missing = [f"{name} is missing" for name in sorted(names - labels.keys())]
    wrong = [f"{name} is '{labels[name]}'" for name, value in values.items() if labels.get(name, value) != value]
    if not (missing or wrong):
        return []
    return [f"{image}/{spec.dockerfile or FILE}: labels of image {image}: {listed([*missing, *wrong])}; correct them"]


def find_excess(image: str, spec: ImageSpec, text: str, size: int) -> list[str]:
    """What an image's files take beyond its budget."""
    if spec.size_budget is None or size <= spec.size_budget:
        return []
    where = place(f"{image}/{FILE}", first_line_of(text, (("size_budget",),)))
    return [
        f"{where}: the files of image {image} take {human(size)}, more than the {human(spec.size_budget)} of "
        "'size_budget'; leave packages or files out, or raise it"
    ]


def human(size: int) -> str:
    """A size as people say it, in powers of 1000 as budgets are written."""
    for unit, power in (("GB", 1_000_000_000), ("MB", 1_000_000)):
        if size >= power:
            return f"{size / power:.2f} {unit}"
    return f"{size / 1000:.2f} kB"


def _origin(image: str, spec: ImageSpec, text: str, found: Sequence[str]) -> tuple[str, int | None]:
    """The file and line that put the first of these paths there, as far as image.toml knows."""
    for number, file in enumerate(spec.files):
        if file.path in found:
            return f"{image}/{FILE}", first_line_of(text, (("files", number),))
    return f"{image}/{spec.dockerfile or FILE}", None
