"""PyPI packages of a lock, installed beside its conda packages."""

import base64
import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path

import rattler
from packaging.utils import canonicalize_name

from .failures import PixiError
from .lock import version_of
from .platforms import Platform, Table
from .uv import index_options, uv, write_lines
from .workspace import Environment


def install(environment: Environment, platform: Platform, packages: Sequence[rattler.PypiLockedPackage]) -> None:
    """Install locked PyPI packages beside the conda packages.

    Raises:
        PixiError: one cannot be fetched or built.
    """
    if not packages:
        return
    wanted = environment.pypi(platform)
    with tempfile.TemporaryDirectory() as folder:
        lines = ['lock-version = "1.0"', 'created-by = "pixi"']
        for package in packages:
            asked = next(iter(wanted.get(canonicalize_name(package.name), [])), {})
            lines += installed(package, asked, environment.workspace.root)
        file = write_lines(Path(folder) / "pylock.toml", lines)
        options = ["--no-deps", "--quiet", "--preview-features=pylock", "--link-mode=copy", "--break-system-packages"]
        options += [f"--python={environment.prefix / 'bin' / 'python'}", "--no-python-downloads"]
        try:
            uv(["pip", "install", *options, *index_options(environment), f"--requirements={file}"], Path(folder))
        except PixiError as error:
            what = f"Failed to update PyPI packages for environment '{environment.name}'"
            raise PixiError(what, *error.causes) from error
    for file in environment.prefix.glob("lib/python*/site-packages/*.dist-info/INSTALLER"):
        name_installer(file)


def installed(package: rattler.PypiLockedPackage, asked: Table, root: Path) -> list[str]:
    """What uv is told about a package to install: a table of a `pylock.toml`."""
    location, version = package.location, version_of(package)
    digest = package.hashes.sha256 if has_hashes(package) and package.hashes else None
    hashes = f'{{ sha256 = "{digest.hex()}" }}' if digest else "{}"
    lines = ["", "[[packages]]", f'name = "{canonicalize_name(package.name)}"']
    lines += [f'version = "{version}"'] if version else []
    if location.startswith("git+"):
        address, _, commit = location.removeprefix("git+").partition("#")
        address, _, query = address.partition("?")
        below = next((part.partition("=")[2] for part in query.split("&") if part.startswith("subdirectory=")), "")
        more = f', subdirectory = "{below}"' if below else ""
        return [*lines, f'vcs = {{ type = "git", url = "{address}", commit-id = "{commit}"{more} }}']
    if location.startswith("direct+"):
        return [*lines, f'archive = {{ url = "{location.removeprefix("direct+")}", hashes = {hashes} }}']
    place = location if "://" in location else str((root / location).resolve())
    if Path(place).is_dir() or not place.endswith((".whl", ".gz", ".zip", ".bz2", ".xz")):
        editable = "true" if asked.get("editable") else "false"
        return [*lines, f'directory = {{ path = "{place}", editable = {editable} }}']
    file = f'{{ {"url" if "://" in place else "path"} = "{place}", hashes = {hashes} }}'
    if "path" in asked:
        return [*lines, f"archive = {file}"]
    return [*lines, f"wheels = [{file}]" if place.endswith(".whl") else f"sdist = {file}"]


def has_hashes(package: rattler.PypiLockedPackage) -> bool:
    """Whether a lock says what a package's file hashes to: py-rattler raises where it does not."""
    try:
        return package.hashes is not None and package.hashes.sha256 is not None
    except AttributeError:
        return False


def name_installer(file: Path, name: str = "uv-pixi") -> None:
    """Note that a package was installed by pixi's own uv, as pixi does."""
    if file.read_text().strip() != "uv":
        return
    file.write_text(name)
    digest = base64.urlsafe_b64encode(hashlib.sha256(name.encode()).digest()).decode().rstrip("=")
    record = file.with_name("RECORD")
    line = f"{file.parent.name}/INSTALLER,sha256={digest},{len(name)}"
    lines = record.read_text().splitlines()
    record.write_text("".join(f"{line if '.dist-info/INSTALLER,' in one else one}\n" for one in lines))
