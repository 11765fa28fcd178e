"""Whether a lock fits its manifest: each environment on each platform has what it asks for, and nothing else."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import rattler
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from .lock import Lock, Packages, declared, indexes_of, version_of
from .markers import applies
from .metadata import alike, of_project
from .platforms import Platform, Table
from .specs import conda_specs, is_source, matched
from .workspace import Environment, Workspace, channel_address

#: The first format that has indexes.
INDEXED: Final = 5


def complaints(workspace: Workspace, lock: Lock | None) -> Iterator[str]:
    """Why a lock does not fit its manifest."""
    for environment in workspace.environments.values():
        locked = lock.file.environment(environment.name) if lock else None
        if lock is None or locked is None:
            yield f"environment '{environment.name}' is out of date because it does not exist in the lock file."
            continue
        if reason := next(_environment_complaints(environment, lock, locked), None):
            yield f"environment '{environment.name}' is out of date because {reason}"
            continue
        for platform in environment.platforms:
            found = lock.packages(environment.name, platform) or Packages([], [], [])
            if reason := next(_platform_complaints(environment, platform, found), None):
                yield (
                    f"the dependencies of environment '{environment.name}' for platform {platform.name} are out of "
                    f"date because {reason}"
                )
    for name, _ in lock.file.environments() if lock else ():
        if name not in workspace.environments:
            yield f"environment '{name}' is out of date because it no longer exists in the manifest"


def _environment_complaints(environment: Environment, lock: Lock, locked: rattler.Environment) -> Iterator[str]:
    channels = [channel_address(str(channel)) for channel in locked.channels()]
    if channels != environment.channels:
        yield "the channels in the lock file do not match the environments channels"
    own = {platform.name: platform for platform in environment.platforms}
    subdirs = {platform.subdir for platform in own.values()}
    for place in locked.platforms():
        if place.name not in own and str(place.subdir) not in subdirs:
            yield f"platform(s) '{place.name}' present in the lock file but not in the environment"
        platform = own.get(place.name)
        if platform and declared(place) != dict(platform.declared):
            yield (
                f"the workspace platform '{place.name}' declares other virtual packages than the lock-file was solved "
                "with"
            )
    section = lock.section(environment.name)
    pypi = any(lock_has_pypi(lock, environment, platform) for platform in environment.platforms)
    if any(environment.pypi(platform) for platform in environment.platforms) and (pypi or "indexes" in section):
        indexes = [line.removeprefix("- ") for line in section.get("indexes", [])]
        if "indexes" not in section and lock.format >= INDEXED:
            yield "the indexes used to previously solve to lock file are missing"
        if "indexes" in section and indexes != indexes_of(environment):
            yield "the indexes used to previously solve to lock file do not match the environments indexes."
    options = dict(line.split(": ", 1) for line in section.get("options", []) if ": " in line)
    wanted = environment.workspace.table.get("channel-priority", "strict")
    if options.get("channel-priority", "strict") != wanted:
        yield f"the lock file was solved with a different channel priority than the one selected ({wanted})"


def lock_has_pypi(lock: Lock, environment: Environment, platform: Platform) -> bool:
    """Whether PyPI packages are locked for a place."""
    found = lock.packages(environment.name, platform)
    return found is not None and bool(found.pypi)


def _platform_complaints(environment: Environment, platform: Platform, found: Packages) -> Iterator[str]:
    records = {record.name.normalized: record for record in found.conda}
    if len(records) != len(found.conda):
        yield "there was a duplicate entry"
    if found.sources or any(is_source(one) for wanted in environment.requests(platform).values() for one in wanted):
        yield "source packages need a build backend"
    visited: set[str] = set()
    specs = [(spec, "<environment>") for spec in conda_specs(environment, platform)]
    yield from _conda_complaints(specs, records, platform, visited)
    pypi = list(_pypi_complaints(environment, platform, found, visited))
    if unused := sorted(set(records) - visited):
        yield f"there are more conda packages in the lock file than are used by the environment: {', '.join(unused)}"
    yield from pypi


def _conda_complaints(
    queue: list[tuple[rattler.MatchSpec, str]],
    records: Mapping[str, rattler.RepoDataRecord],
    platform: Platform,
    visited: set[str],
) -> Iterator[str]:
    """What is not met, from some requirements on; notes the names of packages that are used."""
    while queue:
        spec, source = queue.pop()
        name = spec.name.normalized if spec.name else ""
        record, virtual = records.get(name), platform.virtual_packages.get(name)
        if record is None and virtual and matched(spec, name, virtual, platform.subdir):
            continue
        if record is None or not spec.matches(record):
            yield f"the requirement '{spec}' could not be satisfied (required by '{source}')"
            return
        if name not in visited:
            visited.add(name)
            queue += [(rattler.MatchSpec(text), record.file_name) for text in record.depends if "[when=" not in text]


def _pypi_complaints(environment: Environment, platform: Platform, found: Packages, used: set[str]) -> Iterator[str]:
    wanted, root = environment.pypi(platform), environment.workspace.root
    if wanted and not found.pypi and all("purls" not in json.loads(record.to_json()) for record in found.conda):
        yield "missing purls"
    if not wanted and not found.pypi:
        return
    python = next((str(record.version) for record in found.conda if record.name.normalized == "python"), "")
    locked: dict[str, rattler.PypiLockedPackage] = {canonicalize_name(one.name): one for one in found.pypi}
    conda, records = found.by_pypi_name(), {record.name.normalized: record for record in found.conda}
    queue: list[tuple[str, str, frozenset[str], Table, str]] = [
        (name, one.get("version", "*"), frozenset(one.get("extras", [])), one, "<environment>")
        for name, each in wanted.items()
        for one in each
        if applies(one.get("env-markers"), platform, python)
    ]
    visited: set[tuple[str, frozenset[str]]] = set()
    while queue:
        name, version, extras, asked, source = queue.pop()
        requirement = f"{name}{'' if version == '*' else version}"
        package = locked.get(name)
        specifiers = SpecifierSet("" if version == "*" else version)
        if name in conda:
            record = conda[name]
            # With all that it needs it is there for this package.
            yield from _conda_complaints([(rattler.MatchSpec(record.name.normalized), name)], records, platform, used)
            if not specifiers.contains(str(record.version), prereleases=True):
                yield f"the conda package does not satisfy the pypi requirement '{requirement}' (by '{source}')"
            continue
        locked_version = version_of(package) if package else ""
        if package is None or (locked_version and not specifiers.contains(locked_version, prereleases=True)):
            yield f"the requirement '{requirement}' could not be satisfied (required by '{source}')"
            return
        if (name, extras) in visited:
            continue
        if not any(name == seen for seen, _ in visited):
            yield from _place_complaints(name, asked, package, root)
        visited.add((name, extras))
        for text in package.requires_dist:
            needed = Requirement(text)
            if any(applies(str(needed.marker or ""), platform, python, extra) for extra in ("", *extras)):
                queue.append(
                    (canonicalize_name(needed.name), str(needed.specifier) or "*", frozenset(needed.extras), {}, name)
                )
    if unused := sorted(set(locked) - {name for name, _ in visited}):
        yield f"there are more pypi packages in the lock file than are used by the environment: {', '.join(unused)}"


def _place_complaints(name: str, asked: Table, package: rattler.PypiLockedPackage, root: Path) -> Iterator[str]:
    """What is wrong with where a package comes from; a local one is read again."""
    location = package.location
    local = "://" not in location
    if "path" in asked:
        if not local or (root / asked["path"]).resolve() != (root / location).resolve():
            yield f"'{name}' absolute required path is {root / asked['path']} but currently locked at {location}"
    elif "git" in asked and not location.startswith("git+"):
        yield f"'{name}' expected a git url but the lock file has: '{location}'"
    elif "url" in asked and asked["url"] not in location:
        yield f"'{name}' has mismatching url: '{asked['url']} != {location}'"
    if not local or location.endswith((".whl", ".tar.gz", ".zip")):
        return
    # pixi believes a lock where a project does not say it.
    current = of_project(root / location)
    if current is None:
        return
    what = f"metadata for local package '{name}' has changed"
    version = version_of(package)
    if current.version and version and current.version != version:
        yield f"{what}: version changed from {version} to {current.version}"
    if not alike(current.requires_dist, package.requires_dist):
        yield f"{what}: dependencies changed"
    if SpecifierSet(current.requires_python) != SpecifierSet(package.requires_python or ""):
        yield f"{what}: requires-python changed"
