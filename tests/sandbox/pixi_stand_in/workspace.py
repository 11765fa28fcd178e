"""A workspace as pixi understands it: the features of its environments, their platforms, and what they ask for."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import rattler
from packaging.utils import canonicalize_name

from .failures import PixiError
from .features import DEPENDENCIES, Feature, Requests, migrated, names
from .manifest import parse, pixi_table, with_python
from .platforms import Platform, Table, combined, declared_platform, this_machine, unsupported


@dataclass(frozen=True)
class Environment:
    """What is solved and installed together."""

    name: str
    features: tuple[Feature, ...]
    workspace: "Workspace"

    @property
    def prefix(self) -> Path:
        """Where it is installed."""
        return self.workspace.root / ".pixi" / "envs" / self.name

    @property
    def title(self) -> str:
        """How it is called in a prompt."""
        return self.workspace.name if self.name == "default" else f"{self.workspace.name}:{self.name}"

    @cached_property
    def platforms(self) -> list[Platform]:
        """The platforms that all of its features support, in the order of the workspace."""
        own = self.workspace.platforms
        pinned = {name for feature in self.features for name in feature.platforms or ()}
        if not self.workspace.composes:
            taken = {platform.subdir for platform in own if platform.name in pinned}
            return [
                platform
                for platform in own
                if all(
                    one.platforms is None or {platform.name, platform.subdir} & {*one.platforms}
                    for one in self.features
                )
                and (platform.name in pinned or platform.subdir not in taken)
            ]
        by_name = {platform.name: platform for platform in own}
        wanted = [
            {by_name[name].subdir for name in one.platforms} for one in self.features if one.platforms is not None
        ]
        return [
            combined(subdir, [by_name[name] for name in sorted(pinned) if by_name[name].subdir == subdir])
            for subdir in dict.fromkeys(platform.subdir for platform in own)
            if all(subdir in subdirs for subdirs in wanted)
        ]

    @property
    def channels(self) -> list[str]:
        """Addresses of channels, the most preferred first."""
        found: dict[str, int] = {}
        for feature in self.features:
            for channel in feature.table.get("channels", self.workspace.table.get("channels", [])):
                table = channel if isinstance(channel, dict) else {"channel": channel}
                found.setdefault(table["channel"], table.get("priority", 0))
        return [channel_address(name) for name in sorted(found, key=lambda name: -found[name])]

    def requests(self, platform: Platform, *kinds: str) -> Requests:
        """What its features ask for, by name."""
        found: Requests = {}
        for feature in self.features:
            for name, wanted in feature.requests(platform, kinds or DEPENDENCIES).items():
                found[name] = [*found.get(name, []), *(one for one in wanted if one not in found.get(name, []))]
        return found

    def pypi(self, platform: Platform) -> Requests:
        """PyPI packages by their normalized name."""
        found: Requests = {}
        for name, wanted in self.requests(platform, "pypi-dependencies").items():
            found[canonicalize_name(name)] = wanted
        return found

    @property
    def options(self) -> dict[str, Any]:
        """What all features say about PyPI: indexes and folders with packages."""
        found: dict[str, Any] = {}
        for table in (*(feature.table for feature in self.features), self.workspace.table):
            for key, value in table.get("pypi-options", {}).items():
                found[key] = [*found.get(key, []), *value] if isinstance(value, list) else found.get(key, value)
        return found

    def activation(self, platform: Platform) -> tuple[list[str], dict[str, str]]:
        """Scripts and variables of its activation."""
        scripts: list[str] = []
        variables: dict[str, str] = {}
        for feature in self.features:
            tables = [table.get("activation", {}) for table in feature.targets(platform)]
            scripts += next((table["scripts"] for table in tables if "scripts" in table), [])
            for table in tables:
                for name, value in table.get("env", {}).items():
                    variables.setdefault(name, value)
        return scripts, variables

    def platform(self) -> Platform:
        """The platform to take on this machine: the first one that it can run.

        Raises:
            PixiError: it can run none.
        """
        machine = this_machine()
        subdir = str(rattler.Subdir.current())
        for platform in self.platforms:
            if platform.subdir == subdir and not platform.meets(machine):
                return platform
        raise unsupported(self.name, self.platforms, subdir, machine)


@dataclass(frozen=True)
class Workspace:
    """A manifest, read."""

    manifest: Path
    document: Table
    table: Table
    platforms: list[Platform]
    features: dict[str, Feature]
    composes: bool

    @property
    def root(self) -> Path:
        """The folder of the manifest."""
        return self.manifest.parent

    @property
    def lock(self) -> Path:
        """The lock file."""
        return self.root / "pixi.lock"

    @property
    def name(self) -> str:
        """How the workspace is called."""
        return str(self.table.get("name") or self.document.get("project", {}).get("name") or self.root.name)

    @property
    def version(self) -> str:
        """The version of the workspace."""
        project = self.document.get("project", {}) if self.manifest.name == "pyproject.toml" else {}
        return str(self.table.get("version") or project.get("version") or "NO_VERSION_SPECIFIED")

    @cached_property
    def environments(self) -> dict[str, Environment]:
        """All environments by name."""
        asked = {"default": {}} | self.pixi.get("environments", {})
        return {name: self._environment(name, value) for name, value in asked.items()}

    @property
    def pixi(self) -> Table:
        """The tables that are pixi's own."""
        return pixi_table(self.manifest, self.document)

    def environment(self, name: str) -> Environment:
        """One environment.

        Raises:
            PixiError: there is none of this name.
        """
        if name not in self.environments:
            raise PixiError(f"unknown environment '{name}'")
        return self.environments[name]

    def _environment(self, name: str, value: Table | list[str]) -> Environment:
        table: Table = {"features": value} if isinstance(value, list) else value
        inline = {
            key: one for key, one in table.items() if key not in ("features", "solve-group", "no-default-feature")
        }
        chosen = [Feature(f"environment-{name}", inline, names(inline))] if inline else []
        for feature in table.get("features", []):
            if feature not in self.features:
                raise PixiError(f"The feature '{feature}' is not defined in the manifest")
            chosen.append(self.features[feature])
        if not table.get("no-default-feature"):
            chosen.append(self.features["default"])
        return Environment(name, tuple(chosen), self)


def find(given: str | None) -> Workspace:
    """The workspace of a manifest that was named, or of the working folder and those above it.

    Raises:
        PixiError: there is none, or it cannot be read.
    """
    if given:
        path = Path(given).absolute()
        if path.is_dir():
            path = next(
                (path / name for name in ("pixi.toml", "pyproject.toml") if (path / name).exists()), path / "pixi.toml"
            )
        if not path.is_file():
            raise PixiError(f"could not find '{path}'")
        return read(path)
    here = Path.cwd()
    for folder in (here, *here.parents):
        for name in ("pixi.toml", "pyproject.toml"):
            path = folder / name
            if path.is_file() and (name == "pixi.toml" or pixi_table(path, parse(path))):
                return read(path)
    if (here / "pyproject.toml").is_file():
        raise PixiError(
            f"found pyproject.toml without tool.pixi section at directory {here}\n\nSuggestion: Run 'pixi init' to "
            "initialize pixi support in the existing pyproject.toml"
        )
    raise PixiError(f"could not find pixi.toml or pyproject.toml with tool.pixi at directory {here}")


def read(path: Path) -> Workspace:
    """Read a manifest.

    Raises:
        PixiError: it is not TOML, or says what cannot be.
    """
    document = parse(path)
    own = pixi_table(path, document)
    table = own.get("workspace", own.get("project"))
    if table is None:
        raise PixiError(f"Missing table in manifest pixi.toml. Expected '[workspace]'\n   ╭─[{path}]\n   ╰────")
    tables: dict[str, Table] = {**own.get("feature", {}), "default": {**own, "channels": table.get("channels", [])}}
    if path.name == "pyproject.toml":
        tables = with_python(document, tables)
    declared = [declared_platform(one) for one in table.get("platforms", [])]
    platforms, features, composes = migrated(
        declared, {name: Feature(name, one, names(one, name)) for name, one in tables.items()}
    )
    return Workspace(path, document, table, platforms, features, composes)


def channel_address(channel: str) -> str:
    """The address of a channel, which may be given by its name."""
    address = channel if "://" in channel else f"https://conda.anaconda.org/{channel}"
    return f"{address.rstrip('/')}/"
