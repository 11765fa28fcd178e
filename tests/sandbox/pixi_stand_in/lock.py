"""A lock as pixi understands it: what it holds for an environment on a platform."""

import json
import re
from dataclasses import dataclass
from typing import Final

import rattler
from packaging.utils import canonicalize_name

from .failures import PixiError
from .platforms import Platform, customised
from .workspace import Environment, Workspace

#: The newest format, which `pixi lock` writes.
FORMAT: Final = 7
INDEX: Final = "https://pypi.org/simple"


@dataclass(frozen=True)
class Packages:
    """What a lock holds for one environment on one platform."""

    conda: list[rattler.RepoDataRecord]
    sources: list[str]
    pypi: list[rattler.PypiLockedPackage]

    def by_pypi_name(self) -> dict[str, rattler.RepoDataRecord]:
        """The conda packages that are PyPI packages, too, by the normalized names of these."""
        found: dict[str, rattler.RepoDataRecord] = {}
        for record in self.conda:
            purls = json.loads(record.to_json()).get("purls")
            names = [
                purl.removeprefix("pkg:pypi/").partition("?")[0] for purl in purls or [] if purl.startswith("pkg:pypi/")
            ]
            if purls is None and "/conda-forge/" in record.url:  # as locks were before they had it
                names = [record.name.normalized]
            found |= {canonicalize_name(name): record for name in names}
        return found


@dataclass(frozen=True)
class Lock:
    """A lock file."""

    text: str
    file: rattler.LockFile

    @property
    def format(self) -> int:
        """Of the file."""
        found = re.search(r"^version: (\d+)", self.text, re.MULTILINE)
        return int(found[1]) if found else FORMAT

    def packages(self, environment: str, platform: Platform) -> Packages | None:
        """What is locked for an environment on a platform; None where it is not locked for that."""
        locked = self.file.environment(environment)
        place = None if locked is None else self._place(locked, platform)
        if locked is None or place is None:
            return None
        found = locked.packages(place) or []
        return Packages(
            [one.repo_data_record() for one in found if isinstance(one, rattler.CondaLockedBinaryPackage)],
            [one.name for one in found if isinstance(one, rattler.CondaLockedSourcePackage)],
            [one for one in found if isinstance(one, rattler.PypiLockedPackage)],
        )

    def _place(self, locked: rattler.Environment, platform: Platform) -> rattler.LockPlatform | None:
        """A platform of a lock by its name, by what it is, or by its subdir alone, as old locks name it."""
        named = {one.name: one for one in locked.platforms()}
        for one in locked.platforms():
            if str(one.subdir) == platform.subdir and declared(one) == dict(platform.declared):
                named.setdefault(platform.name, one)
        if platform.name in named or platform.subdir not in named:
            return named.get(platform.name)
        other = named[platform.subdir]
        covered = not other.virtual_packages or platform.declared.items() <= declared(other).items()
        return other if covered else None

    def section(self, environment: str) -> dict[str, list[str]]:
        """What a lock says of an environment beside its packages: lines without their indent, by key."""
        found: dict[str, list[str]] = {}
        inside, key = False, ""
        for line in self.text.partition("\nenvironments:\n")[2].splitlines():
            if not line.startswith(" "):
                break
            if re.match(r"  \S", line):
                inside = line.strip().rstrip(":").strip("'\"") == environment
            elif inside and re.match(r"    [^\s-]", line):
                key = line.strip().partition(":")[0]
                found[key] = []
            elif inside and key:
                found[key].append(line.strip())
        return found


def version_of(package: rattler.PypiLockedPackage) -> str:
    """The locked version of a PyPI package; empty where it is made when the package is built."""
    return "" if package.version == "<dynamic>" else package.version or ""


def declared(platform: rattler.LockPlatform) -> dict[str, str]:
    """What a platform of a lock has beside what every machine of its subdir has."""
    pairs = (text.partition("=") for text in platform.virtual_packages)
    return customised(str(platform.subdir), {name: version for name, _, version in pairs})


def load(workspace: Workspace) -> Lock | None:
    """The lock of a workspace; None where there is none.

    Raises:
        PixiError: it cannot be read.
    """
    if not workspace.lock.is_file():
        return None
    try:
        text = workspace.lock.read_text()
        return Lock(text, rattler.LockFile.from_path(workspace.lock))
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise PixiError(f"Failed to load lock file from `{workspace.lock}`", str(error)) from error


def indexes_of(environment: Environment) -> list[str]:
    """The PyPI indexes of an environment, the first one first."""
    options = environment.options
    return list(dict.fromkeys([options.get("index-url", INDEX), *options.get("extra-index-urls", [])]))
