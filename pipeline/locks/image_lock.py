"""pixi.lock of an image: read it, and compare it with image.toml and the manifest.

These comparisons need no rules of pixi. pixi itself decides whether a lock is fresh and which packages it installs:
see ``pipeline.build.pixi_list``.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

import rattler
from rattler.lock import CondaLockedSourcePackage, Environment, LockPlatform

from pipeline.config.image_toml import FILE as SPEC
from pipeline.config.image_toml import ImageSpec, Platform
from pipeline.config.validation import listed
from pipeline.credentials.secrets_in_urls import reject_secrets
from pipeline.errors import Code, LockError, PipelineError
from pipeline.locks.cuda import check_cuda
from pipeline.locks.lockfile import (
    LOCAL,
    LockTarget,
    Packages,
    described,
    packages_of,
    readable,
    targets,
    unique,
    virtual,
)
from pipeline.locks.manifest import Manifest, read_manifest
from pipeline.locks.paths import find_scripts, find_sources

LOCK: Final = "pixi.lock"
#: Conda's names of the platforms that images are built for.
SUBDIRS: Final[Mapping[Platform, str]] = {
    "linux/amd64": "linux-64",
    "linux/arm64": "linux-aarch64",
    "linux/ppc64le": "linux-ppc64le",
}


@dataclass(frozen=True)
class Locked:
    """Packages that a lock holds for an environment on a platform."""

    target: LockTarget

    packages: Packages

    conda: Mapping[str, rattler.RepoDataRecord]
    """Repodata records of the conda packages, by normalized name."""


@dataclass(frozen=True)
class ImageLock:
    """Content of an image's manifest and lock that can be read without pixi."""

    manifest: Manifest

    candidates: tuple[Locked, ...]
    """Possible installations, sorted by platform: a manifest can list several platforms of one kind, such as one with
    CUDA, and pixi chooses one of them."""

    scripts: tuple[str, ...] = ()
    """Paths of the environment's activation scripts in the image's folder."""

    sources: Mapping[str, bool] = field(default_factory=dict)
    """Paths of packages, folders of packages and scripts in the image's folder that pixi may need, and whether each is
    a folder. If the image's folder itself is a package, the paths of all of its content."""

    @property
    def has_local(self) -> bool:
        """Whether a package that may be installed is a file or folder in the image's folder."""
        packages = (package for candidate in self.candidates for package in candidate.packages.values())
        return any(package.url and LOCAL.match(package.url) for package in packages)

    def own_paths(self, folders: Collection[str]) -> list[str]:
        """Return the folders, sorted; the image's folder itself is replaced by the paths of its content."""
        return sorted(self.sources if "." in folders else folders)

    @property
    def git(self) -> str:
        """Name of a package that pixi downloads from git, for which it runs ``git``; empty if there is none."""
        names = (
            package.name
            for candidate in self.candidates
            for package in candidate.packages.values()
            if package.url.startswith("git+")
        )
        return next(names, "")


class LockFiles:
    """An image's manifest and lock; each is read once, on first use.

    Args:
        folder: the image's folder; messages call the image by its name.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / LOCK
        self.name = f"{folder.name}/{LOCK}"

    @cached_property
    def manifest(self) -> Manifest:
        """The manifest.

        Raises:
            PipelineError: the manifest is missing or is not TOML, or a URL in one of the two files contains a secret.
        """
        reject_secrets(self.folder)
        return read_manifest(self.folder)

    @cached_property
    def lock(self) -> rattler.LockFile:
        """The lock.

        Raises:
            LockError: the lock is missing or cannot be read.
        """
        remedy = relock_remedy(self.folder.name)
        if not self.path.is_file():
            raise LockError(
                Code.LOCK_MISSING, f"{self.name} is missing, and only locked packages are installed; {remedy}"
            )
        with readable(self.path, self.name, remedy):
            return rattler.LockFile.from_path(self.path)

    def packages(self, remedy: str = "") -> dict[LockTarget, Packages]:
        """Return all packages of the lock, for every environment and platform.

        Raises:
            LockError: the lock cannot be used; the message ends with the remedy.
        """
        remedy = remedy or relock_remedy(self.folder.name)
        with readable(self.path, self.name, remedy):
            return packages_of(self.lock, self.name, remedy)


def check_lock(files: LockFiles, spec: ImageSpec, platform: Platform = "linux/amd64") -> ImageLock:
    """Compare an image's manifest, lock and image.toml, and return the data for questions to pixi.

    Args:
        files: the image's manifest and lock.
        spec: the image's image.toml.
        platform: platform of the build.

    Raises:
        PipelineError: the manifest is missing, is not TOML, or has no such environment or platform.
        LockError: pixi.lock is missing or unreadable, has nothing for the environment or platform, or has packages that
            an image cannot have.
    """
    folder, manifest, subdir = files.folder, files.manifest, SUBDIRS[platform]
    check_manifest(manifest, spec, platform)
    candidates = _candidates(files, spec.environment, subdir)
    scripts = find_scripts(folder, manifest, spec.environment, subdir)
    packages = (package for candidate in candidates for package in candidate.packages.values())
    return ImageLock(manifest, candidates, scripts, find_sources(folder, manifest, packages))


def check_manifest(manifest: Manifest, spec: ImageSpec, platform: Platform) -> None:
    """Compare an image's manifest with its image.toml.

    Raises:
        PipelineError: the manifest lacks the environment, or the environment lacks the platform.
        LockError: the CUDA versions of the two do not fit.
    """
    subdir = SUBDIRS[platform]
    if not manifest.lists_platform(spec.environment, subdir):
        raise PipelineError(
            Code.MANIFEST_PLATFORM,
            f"{manifest.name}: 'platforms' of environment '{spec.environment}' does not have {subdir}, for which the "
            f'image is built; add "{subdir}" there',
            at={manifest.name: (manifest.at("workspace", "platforms"), manifest.at("project", "platforms"))},
        )
    check_cuda(spec, manifest, subdir)


def relock_remedy(image: str) -> str:
    """Return the remedy for a lock that cannot be used."""
    return f"run 'dagger call lock --image {image}' and commit {LOCK}"


def _candidates(files: LockFiles, environment: str, subdir: str) -> tuple[Locked, ...]:
    """Return the packages of an environment for each of its platforms of one kind.

    Raises:
        LockError: the lock cannot be used, has no packages for the image, or has some that an image cannot have.
    """
    name, image, manifest, remedy = files.name, files.folder.name, files.manifest, relock_remedy(files.folder.name)
    lock = files.lock
    with readable(files.path, name, remedy):
        held = lock.environment(environment)
        if held is None:
            raise LockError(
                Code.LOCK_STALE,
                f"{name} has no environment '{environment}', which {image}/{SPEC} names and {manifest.name} has; "
                f"{remedy}",
            )
        platforms = {target: each for target, each in targets(environment, held) if str(each.subdir) == subdir}
        if not platforms:
            raise LockError(
                Code.LOCK_STALE,
                f"{name} has nothing of environment '{environment}' for {subdir}, which {manifest.name} lists; "
                f"{remedy}",
            )
        if not any(held.packages(platform) for platform in platforms.values()):
            raise _empty(name, manifest.image, environment, subdir, dict(lock.environments()))
        return tuple(
            _locked(name, image, target, held, platform)
            for target, platform in sorted(platforms.items(), key=lambda item: item[1].name)
        )


def _locked(name: str, image: str, target: LockTarget, held: Environment, platform: LockPlatform) -> Locked:
    packages = held.packages(platform) or []
    built = sorted(package.name for package in packages if isinstance(package, CondaLockedSourcePackage))
    if built:
        raise LockError(
            Code.LOCK_SOURCE_PACKAGE,
            f"{name}: environment '{target.environment}' has {'packages' if len(built) > 1 else 'a package'} that pixi "
            f"builds from source ({listed(built)}), and an image cannot have such a package yet; choose another "
            f"'environment' in {image}/{SPEC}, or take the package from a channel or PyPI",
        )
    everything = [*map(virtual, platform.virtual_packages), *map(described, packages)]
    records = held.conda_repodata_records_for_platform(platform) or []
    return Locked(
        target,
        unique(everything, name, target, relock_remedy(image)),
        {record.name.normalized.lower(): record for record in records},
    )


def _empty(name: str, image: str, environment: str, subdir: str, environments: Mapping[str, Environment]) -> LockError:
    """Create the error for an environment without packages."""
    others = sorted(
        other
        for other, held in environments.items()
        if any(str(platform.subdir) == subdir and held.packages(platform) for platform in held.platforms())
    )
    remedy = f"add packages to it in the manifest and {relock_remedy(image)}"
    if others:
        remedy = f'write environment = "{others[0]}" in {image}/{SPEC} (with packages there: {", ".join(others)})'
    return LockError(Code.LOCK_EMPTY, f"{name}: environment '{environment}' has no packages for {subdir}; {remedy}")
