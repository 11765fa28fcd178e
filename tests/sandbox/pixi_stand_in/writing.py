"""A lock of the newest format: py-rattler writes it, and here is added what py-rattler does not write."""

import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

import rattler

from .lock import indexes_of
from .pypi import Locked
from .workspace import Workspace

#: What was found for an environment on a platform, by their names.
type Solved = dict[tuple[str, str], tuple[list[rattler.RepoDataRecord], list[Locked]]]


def written(workspace: Workspace, solved: Solved) -> str:
    """A lock of the newest format."""
    platforms = {platform.name: platform for one in workspace.environments.values() for platform in one.platforms}
    places = {
        name: rattler.LockPlatform(
            name,
            rattler.Subdir(platform.subdir),
            [f"{package}={version}" for package, version in platform.virtual_packages.items()],
        )
        for name, platform in platforms.items()
    }
    lock = rattler.LockFile(list(places.values()))
    details: dict[str, list[str]] = {}
    for environment in workspace.environments.values():
        lock.set_channels(environment.name, [rattler.lock.LockChannel(channel) for channel in environment.channels])
        for platform in environment.platforms:
            records, wheels = solved[environment.name, platform.name]
            for record in records:
                lock.add_conda_package(environment.name, places[platform.name], record)
            for wheel in wheels:
                lock.add_pypi_package(
                    environment.name, places[platform.name], wheel.name, wheel.version or "0", wheel.location
                )
                details[wheel.location] = wheel.lines()
    with tempfile.TemporaryDirectory() as folder:
        lock.to_path(Path(folder) / "pixi.lock")
        text = (Path(folder) / "pixi.lock").read_text()
    indexes = {
        one.name: indexes_of(one) for one in workspace.environments.values() if any(map(one.pypi, one.platforms))
    }
    for (name, _), (records, _) in solved.items():
        # py-rattler writes those of a record that a lock had before.
        new = [record for record in records if json.loads(record.to_json()).get("purls") is None]
        details |= {record.url: _purls(record, workspace) for record in new if name in indexes}
    return completed(text, details, indexes)


def _purls(record: rattler.RepoDataRecord, workspace: Workspace) -> list[str]:
    """The lines that say which PyPI package a conda package is."""
    is_python = any(need.split()[0] in ("python", "python_abi") for need in record.depends)
    if not is_python or workspace.table.get("conda-pypi-map") is False:
        return ["  purls: []"]
    return ["  purls:", f"  - pkg:pypi/{record.name.normalized}?source=hash-mapping"]


def completed(text: str, details: Mapping[str, list[str]], indexes: Mapping[str, list[str]]) -> str:
    """A lock with what PyPI packages are and need, and with their indexes.

    Args:
        text: the lock as py-rattler writes it.
        details: lines about a package, by its address: all that there are of a PyPI package, more of a conda package.
        indexes: of PyPI, by environment.
    """
    lines: list[str] = []
    environment, kind = "", ""
    waiting: list[str] = []
    for line in text.splitlines():
        if match := re.fullmatch(r"  (\S+):", line):
            environment = match[1]
        if line == "    packages:" and environment in indexes:
            lines += ["    indexes:", *(f"    - {index}" for index in indexes[environment])]
        if match := re.fullmatch(r"- (conda|pypi): ['\"]?(\S+?)['\"]?", line):
            lines += [*waiting, line]
            kind, waiting = match[1], details.get(match[2], [])
        elif kind == "pypi" or line.startswith("  indexed_timestamp: "):  # pixi does not know the latter
            continue
        elif waiting and re.match(r"  (?:size|timestamp|python_site_packages_path): ", line):  # keys have an order
            lines += [*waiting, line]
            waiting = []
        else:
            lines.append(line)
    return "\n".join([*lines, *waiting, ""])
