"""The PyPI half: uv solves it against the conda packages that are locked."""

import os
import re
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import rattler
import tomli
from packaging.utils import canonicalize_name

from .failures import PixiError
from .lock import Packages, version_of
from .metadata import Metadata, of_project, of_wheel
from .platforms import Platform, Table
from .uv import index_options, uv, write_lines
from .workspace import Environment

#: How uv calls the platforms that PyPI packages are locked for.
PLATFORMS: Final = {
    "linux-64": "x86_64-manylinux_2_28",
    "linux-aarch64": "aarch64-manylinux_2_28",
    "osx-64": "x86_64-apple-darwin",
    "osx-arm64": "aarch64-apple-darwin",
    "win-64": "x86_64-pc-windows-msvc",
}


@dataclass(frozen=True)
class Locked:
    """One PyPI package to write into a lock."""

    name: str
    version: str
    location: str
    sha256: str = ""
    requires_dist: Sequence[str] = field(default_factory=tuple)
    requires_python: str = ""

    def lines(self) -> list[str]:
        """Its lines in a lock, below the one with its location."""
        found = [f"  name: {self.name}"]
        if self.version:
            found.append(f"  version: {_scalar(self.version)}")
        if self.sha256:
            found.append(f"  sha256: {self.sha256}")
        if self.requires_dist:
            found += ["  requires_dist:", *(f"  - {_scalar(one)}" for one in self.requires_dist)]
        return found + ([f"  requires_python: {_scalar(self.requires_python)}"] if self.requires_python else [])


def resolve(
    environment: Environment,
    platform: Platform,
    records: list[rattler.RepoDataRecord],
    before: Iterable[rattler.PypiLockedPackage],
) -> list[Locked]:
    """The PyPI packages of an environment beside its conda packages.

    Raises:
        PixiError: there is no Python among these, or uv finds no solution.
    """
    python = next((str(record.version) for record in records if record.name.normalized == "python"), None)
    if not environment.pypi(platform):
        return []
    if python is None:
        name = next(iter(environment.pypi(platform)))
        raise PixiError(
            f"PyPI requirement '{name}' needs a Python interpreter, which is not among the conda packages",
            remedy="Add python to the `dependencies` of the environment",
        )
    conda = Packages(records, [], []).by_pypi_name()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        wanted = [
            requirement(name, one, environment.workspace.root)
            for name, each in environment.pypi(platform).items()
            for one in each
        ]
        kept = [
            f"{one.name}=={one.version}" for one in before if version_of(one) and one.location.startswith("https://")
        ]
        (folder / "requirements.in").write_text("\n".join(wanted) + "\n")
        (folder / "excludes.txt").write_text("".join(f"{name}\n" for name in conda))
        options = [f"--excludes={folder / 'excludes.txt'}", f"--python={sys.executable}", f"--python-version={python}"]
        options.append(f"--python-platform={PLATFORMS.get(platform.subdir, 'linux')}")
        command = ["pip", "compile", "--quiet", "--no-header", "--no-annotate", "--format=pylock.toml", *options]
        command += [*index_options(environment), "requirements.in"]
        try:  # what is locked stays where it can
            said = uv([*command, f"--constraint={write_lines(folder / 'kept.txt', kept)}"], folder)
        except PixiError:
            said = uv(command, folder)
        found = tomli.loads(said).get("packages", [])
        return [
            _locked(package, environment, folder)
            for package in found
            if canonicalize_name(package["name"]) not in conda
        ]


def requirement(name: str, asked: Table, root: Path) -> str:
    """A line of a requirements file for what a manifest asks for."""
    extras = f"[{','.join(asked['extras'])}]" if asked.get("extras") else ""
    marker = f" ; {asked['env-markers']}" if asked.get("env-markers") else ""
    if "path" in asked:
        return f"{name}{extras} @ {(root / asked['path']).resolve().as_uri()}{marker}"
    if "url" in asked:
        return f"{name}{extras} @ {asked['url']}{marker}"
    if "git" in asked:
        reference = next((f"@{asked[key]}" for key in ("rev", "tag", "branch") if key in asked), "")
        below = f"#subdirectory={asked['subdirectory']}" if "subdirectory" in asked else ""
        address = asked["git"] if asked["git"].startswith("git+") else f"git+{asked['git']}"
        return f"{name}{extras} @ {address}{reference}{below}{marker}"
    version = asked.get("version", "*")
    return f"{name}{extras}{'' if version == '*' else version}{marker}"


def _locked(package: Table, environment: Environment, folder: Path) -> Locked:
    """A package of the list that uv has made."""
    name, root = canonicalize_name(package["name"]), environment.workspace.root
    version = str(package.get("version", ""))
    if "vcs" in package:
        vcs = package["vcs"]
        parts = {"subdirectory": vcs.get("subdirectory"), "rev": vcs.get("requested-revision")}
        query = "&".join(f"{key}={value}" for key, value in parts.items() if value)
        return Locked(name, version, f"git+{vcs['url']}{'?' if query else ''}{query}#{vcs['commit-id']}")
    if "directory" in package:
        path = (folder / package["directory"]["path"]).resolve()
        found = of_project(path) or Metadata()
        # Of a folder no version is locked: it may be another one each time.
        return Locked(name, "", _relative(path, root), "", found.requires_dist, found.requires_python)
    direct = "archive" in package
    file: Table = package["archive"] if direct else chosen(package)
    digest = str(file.get("hashes", {}).get("sha256", ""))
    if file.get("url", "").startswith("file://"):
        # uv has a file of a folder with wheels by its address, and pixi by its path.
        place = unquote(urlsplit(file["url"]).path)
        location = _relative(Path(place), root)
    elif "url" in file:
        place, location = file["url"], f"{'direct+' if direct else ''}{file['url']}"
    else:
        place = str((folder / file["path"]).resolve())
        location = _relative(Path(place), root)
    found = of_wheel(place) if place.endswith(".whl") else Metadata(version)
    return Locked(name, version or found.version, location, digest, found.requires_dist, found.requires_python)


def chosen(package: Table) -> Table:
    """The file of a package that uv would install: the wheel that fits best, which it lists first, or the source."""
    wheels: list[Table] = package.get("wheels", [])
    source: Table = package.get("sdist", {})
    return wheels[0] if wheels else source


def _relative(path: Path, root: Path) -> str:
    relative = os.path.relpath(path, root.resolve())
    return "./" if relative == "." else relative if relative.startswith("..") else f"./{relative}"


def _scalar(text: str) -> str:
    """Text as YAML takes it for text."""
    is_text = re.match(r"[A-Za-z]", text) or text.count(".") > 1
    return (
        text if is_text and re.fullmatch(r"[\w .\[\]<>=!~,;()'+@/-]*", text) else "'{}'".format(text.replace("'", "''"))
    )
