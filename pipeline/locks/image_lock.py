"""pixi.lock of an image: read it, and compare it with image.toml and the manifest where no rule of pixi's is needed.

Whether a lock is fresh, and which of its packages are installed, pixi says: see ``pipeline.build.pixi_list``.
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
from pipeline.credentials.secrets_in_urls import refuse_secrets
from pipeline.errors import Code, LockError, PipelineError
from pipeline.locks.cuda import check_cuda
from pipeline.locks.lockfile import (
    LOCAL,
    LockTarget,
    Packages,
    described,
    packages_of,
    places,
    readable,
    unique,
    virtual,
)
from pipeline.locks.manifest import Manifest, read_manifest
from pipeline.locks.paths import find_scripts, find_sources

LOCK: Final = "pixi.lock"
#: What conda calls the platforms that images are built for.
SUBDIRS: Final[Mapping[Platform, str]] = {
    "linux/amd64": "linux-64",
    "linux/arm64": "linux-aarch64",
    "linux/ppc64le": "linux-ppc64le",
}


@dataclass(frozen=True)
class Locked:
    """The packages that a lock holds for one environment on one platform."""

    place: LockTarget

    packages: Packages

    conda: Mapping[str, rattler.RepoDataRecord]
    """Conda packages by their normalized name, as their channel describes them."""


@dataclass(frozen=True)
class ImageLock:
    """An image's manifest and lock, as far as they can be read without pixi."""

    manifest: Manifest

    candidates: tuple[Locked, ...]
    """What may be installed, sorted by platform: a manifest can have several platforms of one kind, such as one with
    CUDA, and pixi takes one of them."""

    scripts: tuple[str, ...] = ()
    """Paths of the scripts that activate the environment, in the image's folder."""

    sources: Mapping[str, bool] = field(default_factory=dict)
    """Paths of all that pixi may need besides, in the image's folder, and whether each is a folder: packages, folders
    of packages, scripts. For the image's folder itself all that is in it."""

    @property
    def has_local(self) -> bool:
        """Whether a package that may be installed is a file or folder of the image's own."""
        packages = (package for candidate in self.candidates for package in candidate.packages.values())
        return any(package.url and LOCAL.match(package.url) for package in packages)

    def own_paths(self, folders: Collection[str]) -> list[str]:
        """The paths that are in some folders of the image's folder; for that folder itself all that is in it."""
        return sorted(self.sources if "." in folders else folders)

    @property
    def git(self) -> str:
        """The name of a package that is fetched from git, which pixi does by the program of that name; "" for none."""
        found = (
            package.name
            for candidate in self.candidates
            for package in candidate.packages.values()
            if package.url.startswith("git+")
        )
        return next(found, "")


class LockFiles:
    """An image's manifest and lock; each is read once, when it is first needed.

    Args:
        folder: the image's folder; its name is what messages call the image.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / LOCK
        self.name = f"{folder.name}/{LOCK}"

    @cached_property
    def manifest(self) -> Manifest:
        """The manifest.

        Raises:
            PipelineError: an address in one of the two files has a password or token.
            PipelineError: the manifest is missing or is not TOML.
        """
        refuse_secrets(self.folder)
        return read_manifest(self.folder)

    @cached_property
    def lock(self) -> rattler.LockFile:
        """The lock.

        Raises:
            LockError: it is missing or cannot be read.
        """
        remedy = relock_remedy(self.folder.name)
        if not self.path.is_file():
            raise LockError(
                Code.LOCK_MISSING, f"{self.name} is missing, and only locked packages are installed; {remedy}"
            )
        with readable(self.path, self.name, remedy):
            return rattler.LockFile.from_path(self.path)

    def packages(self, remedy: str = "") -> dict[LockTarget, Packages]:
        """All packages of the lock, for every environment and platform.

        Raises:
            LockError: the lock cannot be used; the error names the remedy.
        """
        remedy = remedy or relock_remedy(self.folder.name)
        with readable(self.path, self.name, remedy):
            return packages_of(self.lock, self.name, remedy)


def check_lock(files: LockFiles, spec: ImageSpec, platform: Platform = "linux/amd64") -> ImageLock:
    """Compare an image's manifest, lock and image.toml, and return what pixi has to be asked about.

    Args:
        files: the image's manifest and lock.
        spec: the image's image.toml.
        platform: the one that packages are wanted for.

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
        PipelineError: it has no such environment, or not for the platform.
        LockError: the two do not agree about CUDA.
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
    """The remedy for a lock that cannot be used."""
    return f"run 'dagger call lock --image {image}' and commit {LOCK}"


def _candidates(files: LockFiles, environment: str, subdir: str) -> tuple[Locked, ...]:
    """What a lock holds for an environment on all platforms of one kind.

    Raises:
        PipelineError: the manifest has no such platform.
        LockError: the lock cannot be used, holds nothing for the image, or holds what an image cannot have.
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
        found = {place: platform for place, platform in places(environment, held) if str(platform.subdir) == subdir}
        if not found:
            raise LockError(
                Code.LOCK_STALE,
                f"{name} has nothing of environment '{environment}' for {subdir}, which {manifest.name} lists; "
                f"{remedy}",
            )
        if not any(held.packages(platform) for platform in found.values()):
            raise _empty(name, manifest.image, environment, subdir, dict(lock.environments()))
        return tuple(
            _locked(name, image, place, held, platform)
            for place, platform in sorted(found.items(), key=lambda item: item[1].name)
        )


def _locked(name: str, image: str, place: LockTarget, held: Environment, platform: LockPlatform) -> Locked:
    packages = held.packages(platform) or []
    built = sorted(package.name for package in packages if isinstance(package, CondaLockedSourcePackage))
    if built:
        raise LockError(
            Code.LOCK_SOURCE_PACKAGE,
            f"{name}: environment '{place.environment}' has {'packages' if len(built) > 1 else 'a package'} that pixi "
            f"builds from source ({listed(built)}), and an image cannot have such a package yet; choose another "
            f"'environment' in {image}/{SPEC}, or take the package from a channel or PyPI",
        )
    everything = [*map(virtual, platform.virtual_packages), *map(described, packages)]
    records = held.conda_repodata_records_for_platform(platform) or []
    return Locked(
        place,
        unique(everything, name, place, relock_remedy(image)),
        {record.name.normalized.lower(): record for record in records},
    )


def _empty(name: str, image: str, environment: str, subdir: str, environments: Mapping[str, Environment]) -> LockError:
    """The error for an environment without any package."""
    others = sorted(
        other
        for other, held in environments.items()
        if any(str(platform.subdir) == subdir and held.packages(platform) for platform in held.platforms())
    )
    remedy = f"add packages to it in the manifest and {relock_remedy(image)}"
    if others:
        remedy = f'write environment = "{others[0]}" in {image}/{SPEC} (with packages there: {", ".join(others)})'
    return LockError(Code.LOCK_EMPTY, f"{name}: environment '{environment}' has no packages for {subdir}; {remedy}")
