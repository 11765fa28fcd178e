"""An image's manifest, pixi.toml or pyproject.toml: names and paths that it has. Its rules are pixi's: pixi is asked.

What is read here needs none of them: which environments there are, which files have to be there for pixi, and which
CUDA version is asked for, so that image.toml can be compared with it.
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
#: Where pixi's tables are in each file that can be a manifest. pixi takes the first that is there.
TABLES: Final[Mapping[str, Keys]] = {PIXI_TOML: (), PYPROJECT: ("tool", "pixi")}
#: What a manifest's first table is called: the first since pixi 0.30.
WORKSPACE: Final = ("workspace", "project")
#: Tables of packages.
DEPENDENCIES: Final = ("dependencies", "pypi-dependencies", "host-dependencies", "build-dependencies")


@dataclass(frozen=True)
class Manifest:
    """One manifest, as its file has it."""

    image: str
    """The image's name, which messages call its folder by."""

    file: str
    """The file's name in the folder."""

    document: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What messages call the file."""
        return f"{self.image}/{self.file}"

    @property
    def environments(self) -> dict[str, Any]:
        """All environments by name; each is a list of features, or a table."""
        return {"default": {}, **_table(self.document, (*TABLES[self.file], "environments"))}

    def at(self, *keys: str) -> Keys:
        """The way to a key of pixi's tables in the file."""
        return (*TABLES[self.file], *keys)

    def workspace(self, key: str) -> Any:  # noqa: ANN401  # whatever TOML can hold
        """A key of the manifest's first table."""
        return next((found[key] for name in WORKSPACE if key in (found := _table(self.document, self.at(name)))), None)

    def tables(self, environment: str) -> list[Keys]:
        """The ways to the tables of an environment and of its features.

        Raises:
            PipelineError: there is no such environment.
        """
        environments = self.environments
        if environment not in environments:
            raise PipelineError(
                Code.ENVIRONMENT_UNKNOWN,
                f"{self.name} has no environment '{environment}', which {self.image}/image.toml names; "
                f"{nearest(environment, environments)}",
            )
        said = environments[environment]
        table = said if isinstance(said, Mapping) else {"features": said}
        features = table.get("features") or []
        names = [name for name in features if isinstance(name, str)] if isinstance(features, Sequence) else []
        found = [self.at("environments", environment), *(self.at("feature", name) for name in names)]
        return found if table.get("no-default-feature") else [*found, self.at()]

    def read(self, way: Keys) -> Mapping[str, Any]:
        """A table of the file; an empty one where it is not there."""
        return _table(self.document, way)

    def packages(self) -> set[str]:
        """The names of all packages that any table asks for, as they are written."""
        named = {
            name
            for keys, value in _walk(self.read(self.at()))
            if keys and keys[-1] in DEPENDENCIES and isinstance(value, Mapping)
            for name in value
        }
        project = _table(self.document, ("project",)) if self.file == PYPROJECT else {}
        lists = [project.get("dependencies"), *_table(project, ("optional-dependencies",)).values()]
        requirements = [text for found in lists if isinstance(found, Sequence) for text in found]
        return named | {name for text in requirements if (name := _required(text))}

    def ways_to(self, environment: str, package: str) -> list[Keys]:
        """Where an environment may ask for a package."""
        tables = self.tables(environment)
        targets = [(*way, "target", name) for way in tables for name in self.read((*way, "target"))]
        return [(*way, kind, package) for kind in DEPENDENCIES for way in (*tables, *targets)]

    def activation_scripts(self, environment: str, subdir: str) -> list[tuple[Keys, str]]:
        """The scripts that activate an environment on a platform, each with the way to the key that names it.

        Those of a table for the platform take the place of those that the table around it has.
        """
        found = []
        for way in self.tables(environment):
            targets = [(*way, "target", name) for name in self._targets(subdir)]
            ways = [target for target in targets if self._scripts(target)] or [way]
            found += [((*each, "activation", "scripts"), script) for each in ways for script in self._scripts(each)]
        return found

    def required_cuda(self, environment: str, subdir: str) -> tuple[str, Keys] | None:
        """The CUDA version that an environment cannot do without on a platform, and the way to what says so.

        It is the one of `system-requirements`, or else the lowest of the platforms, where all of its kind have one.
        """
        for way in self.tables(environment):
            if cuda := self.read((*way, "system-requirements")).get("cuda"):
                return str(cuda), (*way, "system-requirements", "cuda")
        found = self._platforms_of(subdir)
        versions = [str(platform["cuda"]) for platform in found if "cuda" in platform]
        if not versions or len(versions) < len(found):
            return None
        return min(versions, key=version), self.at("workspace", "platforms")

    def lists_platform(self, environment: str, subdir: str) -> bool:
        """Whether an environment is for a platform, by the manifest's list and those of its features."""
        names = {subdir, *(str(found.get("name")) for found in self._platforms_of(subdir))}
        lists = [self.workspace("platforms"), *(self.read(way).get("platforms") for way in self.tables(environment))]
        return all(names & set(_names(found)) for found in lists if isinstance(found, list))

    def local_paths(self) -> set[str]:
        """The paths of all packages, folders of packages and scripts that any table names by path, as written."""
        found: set[str] = set()
        for keys, value in _walk(self.read(self.at())):
            table = keys[-2] if len(keys) > 1 else ""
            if keys[-2:] == ("activation", "scripts") and isinstance(value, list):
                found |= {script for script in value if isinstance(script, str)}
            elif keys[-1] == "path" and isinstance(value, str) and (table == "find-links" or len(keys) > 2):  # noqa: PLR2004  # a table, a package, "path"
                found.add(value)
        return found

    def _platforms_of(self, subdir: str) -> list[Mapping[str, Any]]:
        """The manifest's platforms of one kind; a name alone is a table without anything else."""
        listed = self.workspace("platforms")
        tables = [
            {"name": found} if isinstance(found, str) else found
            for found in (listed if isinstance(listed, list) else [])
            if isinstance(found, str | Mapping)
        ]
        return [table for table in tables if table.get("platform", table.get("name")) == subdir]

    def _targets(self, subdir: str) -> list[str]:
        """What tables may be called that are only for a platform."""
        return sorted({subdir, "unix", "linux", *(str(found.get("name")) for found in self._platforms_of(subdir))})

    def _scripts(self, way: Keys) -> list[str]:
        scripts = self.read((*way, "activation")).get("scripts")
        return [script for script in scripts if isinstance(script, str)] if isinstance(scripts, list) else []


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of an image.

    Args:
        folder: the image's folder; its name is what messages call the image.

    Raises:
        PipelineError: there is none, or it cannot be read.
    """
    image = folder.name
    for file, way in TABLES.items():
        if not (folder / file).is_file():
            continue
        document = _parse(folder / file, f"{image}/{file}")
        if not way or _table(document, way):
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
    """A path below the folder that it is written in, in its shortest form; None where it leads out of the folder."""
    normal = os.path.normpath(path)
    return None if os.path.isabs(normal) or normal.split("/")[0] == ".." else normal  # noqa: PTH117  # of another machine


def version(text: str) -> Version:
    """A version to compare, by which "12" is "12.0"; what is none is older than all."""
    try:
        return Version(text)
    except InvalidVersion:
        return Version("0")


def _names(platforms: list[Any]) -> list[str]:
    """The names of platforms, and of what kind those are that have a table."""
    tables = [found for found in platforms if isinstance(found, Mapping)]
    names = [found for found in platforms if isinstance(found, str)]
    return names + [str(found[key]) for found in tables for key in ("name", "platform") if key in found]


def _parse(path: Path, name: str) -> dict[str, Any]:
    try:
        # tomli reads TOML 1.1, as pixi does; Python 3.12's own parser does not.
        return tomli.loads(path.read_text(encoding="utf-8-sig"))
    except (tomli.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PipelineError(Code.TOML_INVALID, f"{name} is not valid TOML: {error}; correct it there") from error


def _table(values: Any, way: Keys) -> Mapping[str, Any]:  # noqa: ANN401  # whatever TOML can hold
    for key in way:
        values = values.get(str(key)) if isinstance(values, Mapping) else None
    return values if isinstance(values, Mapping) else {}


def _walk(values: Any, way: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:  # noqa: ANN401
    """All keys below a value, with the way to each; the tables of a list have the way of the list."""
    if isinstance(values, Mapping):
        for key, value in values.items():
            yield (*way, key), value
            yield from _walk(value, (*way, key))
    elif isinstance(values, list):
        for value in values:
            yield from _walk(value, way)


def _required(text: Any) -> str:  # noqa: ANN401  # whatever TOML can hold
    """The name of the package in a requirement of Python's; nothing where it is none."""
    try:
        return Requirement(text).name
    except (InvalidRequirement, TypeError):
        return ""
