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
    "closed": (
        "not every user can read or enter, as it seems by accident",
        "give it mode 0644, or 0755 for a folder or a program",
    ),
    "open": ("everybody can write", "take the write permission of others away, or make a folder sticky (1777)"),
    "cache": ("only made the build faster", "remove it in the step that makes it, or keep it in a cache mount"),
    "left": ("the build left in a temporary folder", "remove it in the step that makes it"),
    "key": (
        "may hold a private key, which all who have the image have too",
        "remove it in the step that makes it, make it when a container starts, and do not use this one any more",
    ),
    "secret": (
        "may hold a password or a key",
        "give the step a secret mount instead ('with-build-secret' gives the secret), and change what was in it",
    ),
}
#: Folders of configuration and state, where packages and administrators make files private on purpose.
_PRIVATE: Final = ("/etc/", "/var/", "/home/", "/root/", "/boot/", "/lost+found")
#: Owners of files that belong to nobody in particular: root, and ids from an archive that the image has no account for.
_NOBODY: Final = frozenset({"root", "UNKNOWN"})
_SETUID_OR_SETGID: Final = 0o6000
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
    packaged: set[str] = set()
    active: dict[str, tuple[str, str]] = {}
    size = 0
    for line in output.splitlines():
        kind, _, value = line.partition("\t")
        if kind == "size":
            size = int(value) * 1024 if value.isdecimal() else 0
        elif kind == "packaged":
            # The list of a package may have the path from before /usr was merged.
            packaged |= {value, f"/usr{value}"}
        elif kind == "closed":
            mode, user, group, path = value.split(" ", 3)
            if is_accident(path, int(mode, 8), user, group):
                paths[kind].add(path)
        elif kind == "active":
            script, prefix, path = (*value.split(" ", 2), "", "")[:3]
            active[script] = (prefix, path)
        elif kind in paths:
            paths[kind].add(value)
    for kind in ("closed", "key"):
        paths[kind] -= packaged
    return Facts({kind: frozenset(of_kind) for kind, of_kind in paths.items()}, active, size)


def is_accident(path: str, mode: int, user: str, group: str) -> bool:
    """Return whether a file or folder that others cannot read was probably not made private on purpose.

    On purpose are configuration and state, what is for one account or group of the image, and programs that run with
    the rights of their owner. What is left are files of the software itself, such as those that ``ADD`` fetches.

    Args:
        path: its path.
        mode: its mode.
        user: its owner; "UNKNOWN" where the image has no such account.
        group: its group, likewise.
    """
    return not (path.startswith(_PRIVATE) or mode & _SETUID_OR_SETGID or {user, group} - _NOBODY)


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
            where = format_location(*origin_of(image, spec, text, paths))
            # A key has to be found wherever it is, so each is named.
            names = "; ".join(paths) if kind == "key" else listed(paths)
            findings.append(f"{where}: image {image} has {count} that {problem} ({names}); {remedy}")
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


def origin_of(image: str, spec: ImageSpec, text: str, paths: Sequence[str]) -> tuple[str, int | None]:
    """Return the file and line that add the first of these paths, where that is a file of image.toml."""
    for number, file in enumerate(spec.files):
        if file.path in paths:
            return f"{image}/{FILE}", first_line_of(text, (("files", number),))
    return f"{image}/{spec.dockerfile or FILE}", None
