"""The PyPI half: uv solves it against the conda packages that are locked, and installs it."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import rattler
import tomli
from packaging.utils import canonicalize_name

from .config import cache_folder
from .failures import PixiError
from .lock import Packages, indexes_of
from .metadata import Metadata, of_project, of_wheel
from .platforms import Platform, Table
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
        kept = [f"{one.name}=={one.version}" for one in before if one.version and one.location.startswith("https://")]
        (folder / "requirements.in").write_text("\n".join(wanted) + "\n")
        (folder / "excludes.txt").write_text("".join(f"{name}\n" for name in conda))
        options = [f"--excludes={folder / 'excludes.txt'}", f"--python={sys.executable}", f"--python-version={python}"]
        options.append(f"--python-platform={PLATFORMS.get(platform.subdir, 'linux')}")
        if kept:
            options.append(f"--constraint={_file(folder / 'kept.txt', kept)}")
        command = ["pip", "compile", "--quiet", "--no-header", "--no-annotate", "--format=pylock.toml"]
        said = uv([*command, *options, *index_options(environment), "requirements.in"], folder)
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


def index_options(environment: Environment) -> list[str]:
    """The options of uv that say where packages are."""
    options, (first, *others) = environment.options, indexes_of(environment)
    found = [f"--index-url={first}"] if "index-url" in options else []
    found += [f"--extra-index-url={index}" for index in others]
    for place in options.get("find-links", []):
        found.append(
            f"--find-links={place['url'] if 'url' in place else (environment.workspace.root / place['path']).resolve()}"
        )
    if options.get("no-build") is True:
        found.append("--no-build")
    return found


def install(environment: Environment, platform: Platform, packages: Sequence[rattler.PypiLockedPackage]) -> None:
    """Install locked PyPI packages beside the conda packages, and take away those that are not locked.

    Raises:
        PixiError: one cannot be fetched or built.
    """
    wanted, root, python = environment.pypi(platform), environment.workspace.root, environment.prefix / "bin" / "python"
    lines, editable = [], []
    for package in packages:
        asked: Table = next(iter(wanted.get(canonicalize_name(package.name), [])), {})
        location = package.location
        if "://" not in location:
            location = (root / location).resolve().as_uri()
            if asked.get("editable"):
                editable += [f"--editable={(root / package.location).resolve()}"]
                continue
        location = re.sub(r"^direct\+", "", location)
        if location.startswith("git+"):
            location = git_address(location)
        digest = package.hashes and package.hashes.sha256 if "://" in package.location and has_hashes(package) else None
        lines.append(
            f"{package.name} @ {location}" + (f" --hash=sha256:{digest.hex()}" if digest and not editable else "")
        )
    if not packages:
        return
    with tempfile.TemporaryDirectory() as folder:
        file = _file(Path(folder) / "requirements.txt", lines)
        options = ["--no-deps", "--quiet", f"--python={python}", "--no-python-downloads", *index_options(environment)]
        shared = ["--link-mode=copy", "--break-system-packages"]
        try:
            uv(["pip", "install", *options, *shared, f"--requirements={file}", *editable], root)
        except PixiError as error:
            raise PixiError(
                f"Failed to update PyPI packages for environment '{environment.name}'", *error.causes
            ) from error


def has_hashes(package: rattler.PypiLockedPackage) -> bool:
    """Whether a lock says what a package's file hashes to: py-rattler raises where it does not."""
    try:
        return package.hashes is not None and package.hashes.sha256 is not None
    except AttributeError:
        return False


def git_address(location: str) -> str:
    """How uv wants a commit that a lock writes as ``git+URL?subdirectory=S&rev=R#COMMIT``."""
    address, _, commit = location.partition("#")
    address, _, query = address.partition("?")
    below = next((part for part in query.split("&") if part.startswith("subdirectory=")), "")
    return f"{address}@{commit}" + (f"#{below}" if below else "")


def uv(arguments: list[str], folder: Path) -> str:
    """What uv prints.

    Raises:
        PixiError: it failed; or it needs git, and there is none.
    """
    program = shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"
    environment = {
        **os.environ,
        "UV_CACHE_DIR": str(cache_folder() / "uv-cache"),
        "UV_NO_CONFIG": "1",
        "UV_NATIVE_TLS": "1",
    }
    environment.pop("VIRTUAL_ENV", None)
    ended = subprocess.run(
        [program, *arguments], check=False, capture_output=True, text=True, cwd=folder, env=environment
    )
    if ended.returncode == 0:
        return ended.stdout
    raise PixiError(*(causes(ended.stderr) or [f"uv exited with {ended.returncode}"]))


def causes(output: str) -> list[str]:
    """The chain of causes in what uv printed."""
    found: list[str] = []
    for line in output.splitlines():
        match = re.match(r"\s*(?:×|├─▶|╰─▶|error:|Caused by:)\s*(.*)$", line)
        if match:
            found.append(match[1].strip())
        elif found and line.strip() and not line.lstrip().startswith("help:"):
            found[-1] += f"\n{line.strip(' │')}"
    return found


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
        found = of_project(path) or Metadata(version)
        return Locked(name, found.version, _relative(path, root), "", found.requires_dist, found.requires_python)
    direct = "archive" in package
    file: Table = package["archive"] if direct else chosen(package)
    digest = str(file.get("hashes", {}).get("sha256", ""))
    if "url" in file:
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


def _file(path: Path, lines: Iterable[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def _relative(path: Path, root: Path) -> str:
    relative = os.path.relpath(path, root.resolve())
    return "./" if relative == "." else relative if relative.startswith("..") else f"./{relative}"


def _scalar(text: str) -> str:
    """Text as YAML takes it for text."""
    plain = re.fullmatch(r"[A-Za-z][\w .\[\]<>=!~,;()'+-]*", text) and ": " not in text
    return text if plain else "'{}'".format(text.replace("'", "''"))
