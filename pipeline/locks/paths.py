"""Packages and activation scripts that a manifest names by their path, in the image's own folder."""

from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import Final

from pipeline.config.image_toml import FILE as SPEC
from pipeline.config.toml_locations import Keys
from pipeline.errors import Code, PipelineError
from pipeline.locks.lockfile import LOCAL, Package
from pipeline.locks.manifest import Manifest, inside

#: In an image's folder, what is no source of a package of that folder: our own files, and what tools keep there.
_OWN: Final = frozenset({SPEC, "pixi.lock", "base.lock", ".git", ".pixi", ".venv", "__pycache__", "node_modules"})


def find_scripts(folder: Path, manifest: Manifest, environment: str, subdir: str) -> tuple[str, ...]:
    """The scripts that activate an environment.

    Raises:
        PipelineError: one of them is not there; pixi would activate without it.
    """
    scripts: dict[str, None] = {}
    for way, script in manifest.activation_scripts(environment, subdir):
        path = _present(folder, manifest, script, f"activation script '{script}'", (way,))
        scripts[path] = None
    return tuple(scripts)


def find_sources(folder: Path, manifest: Manifest, packages: Iterable[Package]) -> dict[str, bool]:
    """Paths that pixi may need, and whether each is a folder: what is installed must be there, what is for others may.

    Args:
        folder: the image's folder.
        manifest: in that folder.
        packages: what may be installed.

    Raises:
        PipelineError: a package is installed by path, and is not there.
    """
    needed = {
        _present(folder, manifest, package.url, f"package '{package.name}' is '{package.url}', and that", ())
        for package in packages
        if package.url and LOCAL.match(package.url)
    }
    needed |= {path for named in manifest.local_paths() if (path := inside(named)) and (folder / path).exists()}
    if "." in needed:
        own = {*_OWN, manifest.file}
        needed = {path.name for path in folder.iterdir() if path.name not in own}
    outermost = {path for path in needed if not needed.intersection(str(parent) for parent in PurePath(path).parents)}
    return {path: (folder / path).is_dir() for path in sorted(outermost)}


def _present(folder: Path, manifest: Manifest, named: str, what: str, ways: tuple[Keys, ...]) -> str:
    """The path of a file or folder that is named by path.

    Raises:
        PipelineError: it is not in the image's folder.
    """
    path = inside(named.removeprefix("file://"))
    if path is None:
        raise PipelineError(
            Code.LOCAL_PATH,
            f"{manifest.name}: {what} is outside of {folder.name}/, which is all that an image is made from; move it "
            "there",
            at={manifest.name: ways},
        )
    if not (folder / path).exists():
        raise PipelineError(
            Code.LOCAL_PATH,
            f"{manifest.name}: {what} is not there (no {folder.name}/{path}); add it, or take it out of the manifest",
            at={manifest.name: ways},
        )
    return path
