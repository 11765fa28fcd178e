"""An image's manifest, pixi.toml or pyproject.toml: its environments, local paths and required CUDA version.

These can be read without pixi's rules, to compare them with image.toml and to give pixi the files that it needs.
Everything that depends on the rules comes from pixi itself.
"""

import os.path
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import tomli
from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from pipeline.config.toml_locations import Keys
from pipeline.config.validation import nearest
from pipeline.errors import Code, PipelineError

PIXI_TOML: Final = "pixi.toml"
PYPROJECT: Final = "pyproject.toml"
#: Path of pixi's tables in each file that can be a manifest; pixi uses the first file that exists.
TABLES: Final[Mapping[str, Keys]] = {PIXI_TOML: (), PYPROJECT: ("tool", "pixi")}
#: Names of a manifest's main table: the current one, and the one before pixi 0.30.
WORKSPACE: Final = ("workspace", "project")
#: Names of the tables of required packages.
DEPENDENCIES: Final = ("dependencies", "pypi-dependencies", "host-dependencies", "build-dependencies")


@dataclass(frozen=True)
class Manifest:
    """A parsed manifest."""

    image: str
    """Name of the image and of its folder."""

    file: str
    """Name of the file in the folder."""

    document: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Name of the file in messages."""
        return f"{self.image}/{self.file}"

    @property
    def environments(self) -> dict[str, Any]:
        """All environments by name; each value is a list of features, or a table."""
        return {"default": {}, **_table(self.document, (*TABLES[self.file], "environments"))}

    def at(self, *keys: str) -> Keys:
        """Return the path in the file of a key in pixi's tables."""
        return (*TABLES[self.file], *keys)

    def workspace(self, key: str) -> Any:  # noqa: ANN401  # whatever TOML can hold
        """Return the value of a key in the manifest's main table; None if it is missing."""
        return next((table[key] for name in WORKSPACE if key in (table := _table(self.document, self.at(name)))), None)

    def tables(self, environment: str) -> list[Keys]:
        """Return the paths of the tables of an environment and of its features.

        Raises:
            PipelineError: the environment does not exist.
        """
        environments = self.environments
        if environment not in environments:
            raise PipelineError(
                Code.ENVIRONMENT_UNKNOWN,
                f"{self.name} has no environment '{environment}', which {self.image}/image.toml names; "
                f"{nearest(environment, environments)}",
            )
        value = environments[environment]
        table = value if isinstance(value, Mapping) else {"features": value}
        features = table.get("features") or []
        names = [name for name in features if isinstance(name, str)] if isinstance(features, Sequence) else []
        paths = [self.at("environments", environment), *(self.at("feature", name) for name in names)]
        return paths if table.get("no-default-feature") else [*paths, self.at()]

    def read(self, keys: Keys) -> Mapping[str, Any]:
        """Return a table of the file; empty if it is missing."""
        return _table(self.document, keys)

    def packages(self) -> set[str]:
        """Return the names of all required packages in any table, as they are written."""
        named = {
            name
            for keys, value in _walk(self.read(self.at()))
            if keys and keys[-1] in DEPENDENCIES and isinstance(value, Mapping)
            for name in value
        }
        project = _table(self.document, ("project",)) if self.file == PYPROJECT else {}
        lists = [project.get("dependencies"), *_table(project, ("optional-dependencies",)).values()]
        requirements = [text for entries in lists if isinstance(entries, list) for text in entries]
        return named | {name for text in requirements if (name := _required(text))}

    def ways_to(self, environment: str, package: str) -> list[Keys]:
        """Return all key paths under which an environment may require a package."""
        tables = self.tables(environment)
        targets = [(*table, "target", name) for table in tables for name in self.read((*table, "target"))]
        return [(*table, kind, package) for kind in DEPENDENCIES for table in (*tables, *targets)]

    def activation_scripts(self, environment: str, subdir: str) -> list[tuple[Keys, str]]:
        """Return the activation scripts of an environment on a platform, each with the path of the key that names it.

        Scripts in a table for the platform replace those in the table around it.
        """
        scripts = []
        for table in self.tables(environment):
            targets = [(*table, "target", name) for name in self._targets(subdir)]
            tables = [target for target in targets if self._scripts(target)] or [table]
            scripts += [((*each, "activation", "scripts"), script) for each in tables for script in self._scripts(each)]
        return scripts

    def required_cuda(self, environment: str, subdir: str) -> tuple[str, Keys] | None:
        """Return the CUDA version that an environment requires on a platform, and the path of the key that requires it.

        It comes from `system-requirements`, or else from the platforms of this kind: the lowest, if all have one.

        Raises:
            PipelineError: a version is no text, which pixi rejects as well.
        """
        for table in self.tables(environment):
            if cuda := self.read((*table, "system-requirements")).get("cuda"):
                keys = (*table, "system-requirements", "cuda")
                return self._text(cuda, keys), keys
        keys = self.at("workspace", "platforms")
        platforms = self._platforms_of(subdir)
        # A platform may have a table instead, with the driver's version or without.
        found = [cuda.get("driver") if isinstance(cuda := each.get("cuda"), Mapping) else cuda for each in platforms]
        versions = [self._text(cuda, keys) for cuda in found if cuda is not None]
        if not versions or len(versions) < len(platforms):
            return None
        return min(versions, key=version), keys

    def lists_platform(self, environment: str, subdir: str) -> bool:
        """Whether the platform lists of the manifest and of an environment's features include a platform."""
        names = {subdir, *(str(platform.get("name")) for platform in self._platforms_of(subdir))}
        lists = [self.workspace("platforms"), *(self.read(keys).get("platforms") for keys in self.tables(environment))]
        return all(names & set(_names(platforms)) for platforms in lists if isinstance(platforms, list))

    def local_paths(self) -> set[str]:
        """Return the paths, as written, of packages, folders of packages and scripts in all tables."""
        paths: set[str] = set()
        for keys, value in _walk(self.read(self.at())):
            table = keys[-2] if len(keys) > 1 else ""
            if keys[-2:] == ("activation", "scripts") and isinstance(value, list):
                paths |= {script for script in value if isinstance(script, str)}
            elif keys[-1] == "path" and isinstance(value, str) and (table == "find-links" or len(keys) > 2):  # noqa: PLR2004  # a table, a package, "path"
                paths.add(value)
        return paths

    def _platforms_of(self, subdir: str) -> list[Mapping[str, Any]]:
        """Return the manifest's platforms of one kind as tables; a plain name becomes a table with that name."""
        listed = self.workspace("platforms")
        tables = [
            {"name": platform} if isinstance(platform, str) else platform
            for platform in (listed if isinstance(listed, list) else [])
            if isinstance(platform, str | Mapping)
        ]
        return [table for table in tables if table.get("platform", table.get("name")) == subdir]

    def _text(self, value: Any, keys: Keys) -> str:  # noqa: ANN401  # whatever TOML can hold
        """Return a CUDA version after checking that it is a text."""
        if not isinstance(value, str):
            table = ".".join(map(str, keys)).removesuffix(".cuda")
            raise PipelineError(
                Code.MANIFEST_INVALID,
                f"{self.name}: 'cuda' in '{table}' is no text, and pixi takes nothing else as a version; "
                'write it in quotes, such as cuda = "12.8"',
                at={self.name: (keys,)},
            )
        return value

    def _targets(self, subdir: str) -> list[str]:
        """Return the possible names of tables for a platform."""
        names = (str(platform.get("name")) for platform in self._platforms_of(subdir))
        return sorted({subdir, "unix", "linux", *names})

    def _scripts(self, table: Keys) -> list[str]:
        scripts = self.read((*table, "activation")).get("scripts")
        return [script for script in scripts if isinstance(script, str)] if isinstance(scripts, list) else []


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of an image.

    Args:
        folder: the image's folder; messages call the image by its name.

    Raises:
        PipelineError: the manifest is missing or cannot be read.
    """
    image = folder.name
    for file, keys in TABLES.items():
        if not (folder / file).is_file():
            continue
        document = _parse(folder / file, f"{image}/{file}")
        if not keys or _table(document, keys):
            return Manifest(image, file, document)
    if (folder / PYPROJECT).is_file():
        raise PipelineError(
            Code.MANIFEST_MISSING,
            f"{image}/{PYPROJECT} has no table [tool.pixi], and there is no {image}/{PIXI_TOML}; add one of the two",
        )
    raise PipelineError(
        Code.MANIFEST_MISSING,
        f"{image}/{PIXI_TOML} is missing; an image is built from it (or from {PYPROJECT} with [tool.pixi]) and from "
        "pixi.lock",
    )


def inside(path: str) -> str | None:
    """Return a relative path in its shortest form; None if it is absolute or leads out of its folder."""
    normal = os.path.normpath(path)
    return None if os.path.isabs(normal) or normal.split("/")[0] == ".." else normal  # noqa: PTH117  # a path in an image


def version(text: str) -> Version:
    """Parse a version for comparisons, in which "12" equals "12.0"; an invalid one is older than all."""
    try:
        return Version(text)
    except InvalidVersion:
        return Version("0")


def _names(platforms: list[Any]) -> list[str]:
    """Return the names of platforms, and for those that are tables also their kinds."""
    tables = [platform for platform in platforms if isinstance(platform, Mapping)]
    names = [platform for platform in platforms if isinstance(platform, str)]
    return names + [str(table[key]) for table in tables for key in ("name", "platform") if key in table]


def _parse(path: Path, name: str) -> dict[str, Any]:
    try:
        # tomli reads TOML 1.1, as pixi does; Python 3.12's own parser does not.
        return tomli.loads(path.read_text(encoding="utf-8-sig"))
    except (tomli.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PipelineError(Code.TOML_INVALID, f"{name} is not valid TOML: {error}; correct it there") from error


def _table(values: Any, keys: Keys) -> Mapping[str, Any]:  # noqa: ANN401  # whatever TOML can hold
    for key in keys:
        values = values.get(str(key)) if isinstance(values, Mapping) else None
    return values if isinstance(values, Mapping) else {}


def _walk(values: Any, keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:  # noqa: ANN401
    """Yield the path and value of each key below a value; tables in a list have the path of the list."""
    if isinstance(values, Mapping):
        for key, value in values.items():
            yield (*keys, key), value
            yield from _walk(value, (*keys, key))
    elif isinstance(values, list):
        for value in values:
            yield from _walk(value, keys)


def _required(text: Any) -> str:  # noqa: ANN401  # whatever TOML can hold
    """Return the name of the package in a Python requirement; empty if it is invalid."""
    try:
        return Requirement(text).name
    except (InvalidRequirement, TypeError):
        return ""
