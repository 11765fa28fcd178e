"""pixi.toml and pixi.lock of an image: read them, and hold them against each other before anything is installed."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import rattler
from packaging.utils import canonicalize_name

from pipeline.errors import LockError, ManifestError
from pipeline.lines import Keys
from pipeline.lock_file import Place, described, readable, unique
from pipeline.spec import ImageSpec, Platform
from pipeline.validation import listed, nearest

MANIFEST: Final = "pixi.toml"
LOCK: Final = "pixi.lock"
#: What conda calls the platforms that images are built for.
SUBDIRS: Final[Mapping[Platform, str]] = {
    "linux/amd64": "linux-64",
    "linux/arm64": "linux-aarch64",
    "linux/ppc64le": "linux-ppc64le",
}


@dataclass(frozen=True)
class Requirements:
    """What one environment of a manifest asks for."""

    environment: str
    conda: dict[str, str]
    """Version requirements by the normalized name of the conda package."""

    pypi: frozenset[str]
    """Normalized names of the PyPI packages."""

    cuda: str | None
    """The CUDA version of ``system-requirements``."""

    tables: tuple[Keys, ...] = ()
    """The tables of pixi.toml that the environment is made of, by the way to each."""


@dataclass(frozen=True)
class Locked:
    """What a lock holds for one environment on one platform."""

    conda: dict[str, rattler.RepoDataRecord]
    """Conda packages by their normalized name."""

    pypi: frozenset[str]
    """Normalized names of the PyPI packages."""

    cuda: str | None
    """The CUDA version that the lock was solved for, where the lock says it (since format 7)."""


def check_lock(folder: Path, spec: ImageSpec, platform: Platform = "linux/amd64") -> Locked:
    """Hold an image's manifest, lock and image.toml against each other, and return what is locked.

    What only a solver can tell is left to ``pixi install --locked``; what is told here is told in a second.

    Args:
        folder: the image's folder; its name is what messages call the image.
        spec: the image's image.toml.
        platform: the one that packages are wanted for.

    Raises:
        ManifestError: pixi.toml is missing, is not TOML, or has no such environment.
        LockError: pixi.lock is missing or unreadable, lacks the environment or a package, or disagrees about CUDA.
    """
    wanted = read_requirements(folder, spec.environment, platform)
    locked = read_locked(folder, spec.environment, platform)
    if problems := unmet(wanted, locked):
        manifest = f"{folder.name}/{MANIFEST}"
        raise LockError(
            f"{folder.name}/{LOCK} does not match {manifest}: {listed(problems)}; {refresh(folder.name)}",
            at={manifest: _ways_to_package(wanted.tables, problems[0].partition(" ")[0])},
        )
    check_cuda(folder, spec, wanted, locked)
    return locked


def check_cuda(folder: Path, spec: ImageSpec, wanted: Requirements, locked: Locked) -> None:
    """Hold the CUDA versions of image.toml, pixi.toml and pixi.lock against each other.

    Raises:
        LockError: two of them disagree.
    """
    image, manifest, lock = (f"{folder.name}/{name}" for name in ("image.toml", MANIFEST, LOCK))
    requirement = {manifest: [(*table, "system-requirements", "cuda") for table in wanted.tables]}
    if wanted.cuda and locked.cuda and version(wanted.cuda) != version(locked.cuda):
        raise LockError(
            f"{lock} was solved for CUDA {locked.cuda}, but {manifest} requires CUDA {wanted.cuda}; "
            f"{refresh(folder.name)}",
            at=requirement | {lock: f"__cuda={locked.cuda}"},
        )
    if spec.cuda and wanted.cuda and version(spec.cuda) < version(wanted.cuda):
        raise LockError(
            f"{image}: key 'cuda' is {spec.cuda}, but environment '{spec.environment}' of {manifest} "
            f"requires CUDA {wanted.cuda} in its system-requirements; make them the same",
            at=requirement | {image: (("cuda",),)},
        )
    if wanted.cuda and not spec.cuda:
        raise LockError(
            f"{manifest}: environment '{spec.environment}' requires CUDA {wanted.cuda}, but "
            f"{image} has no key 'cuda'; add cuda = \"{wanted.cuda}\"",
            at=requirement,
        )


def check_base(image: str, spec: ImageSpec, base: str, base_cuda: str | None) -> None:
    """Hold the CUDA version of image.toml against the one of the base image, from its ``CUDA_VERSION``.

    Raises:
        LockError: the base image is of an older CUDA than the image is built for.
    """
    if spec.cuda and base_cuda and version(base_cuda)[:2] < version(spec.cuda):
        raise LockError(
            f"{image}/image.toml: key 'cuda' is {spec.cuda}, but the base image {base} is of CUDA {base_cuda}; "
            "choose a newer base or an older CUDA",
            at={f"{image}/image.toml": (("cuda",),)},
        )


def read_requirements(folder: Path, environment: str, platform: Platform = "linux/amd64") -> Requirements:
    """What an environment of an image's pixi.toml asks for.

    Raises:
        ManifestError: the file is missing, is not TOML, or has no such environment.
    """
    name = f"{folder.name}/{MANIFEST}"
    try:
        manifest = tomllib.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ManifestError(f"{name} is missing; an image is built from it and from {LOCK}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ManifestError(f"{name} is not valid TOML: {error}; correct it there") from error
    environments: dict[str, Any] = {"default": {}} | manifest.get("environments", {})
    if environment not in environments:
        raise ManifestError(
            f"{name} has no environment '{environment}', which {folder.name}/image.toml names; "
            f"{nearest(environment, environments)}"
        )
    ways: list[Keys] = [("feature", feature) for feature in _features(environments[environment])]
    if not (isinstance(environments[environment], dict) and environments[environment].get("no-default-feature")):
        ways.append(())
    ways += [(*way, "target", SUBDIRS[platform]) for way in ways]
    tables = [_table(manifest, way) for way in ways]
    conda: dict[str, str] = {}
    pypi: set[str] = set()
    cuda = None
    for table in tables:
        for package, requirement in table.get("dependencies", {}).items():
            wanted = requirement if isinstance(requirement, str) else requirement.get("version", "*")
            conda.setdefault(package.lower(), wanted)
        pypi |= {canonicalize_name(package) for package in table.get("pypi-dependencies", {})}
        cuda = cuda or table.get("system-requirements", {}).get("cuda")
    return Requirements(environment, conda, frozenset(pypi), cuda, tuple(ways))


def read_locked(folder: Path, environment: str, platform: Platform = "linux/amd64") -> Locked:
    """The packages that an image's pixi.lock holds for an environment.

    Raises:
        LockError: the file is missing, cannot be read, has no such environment or no packages for the platform, or
            holds a package twice.
    """
    name = f"{folder.name}/{LOCK}"
    path = folder / LOCK
    remedy = refresh(folder.name)
    if not path.is_file():
        raise LockError(f"{name} is missing, and only locked packages are installed; {remedy}")
    subdir = SUBDIRS[platform]
    with readable(path, name, remedy):
        found = rattler.LockFile.from_path(path).environment(environment)
        if found is None:
            raise LockError(
                f"{name} has no environment '{environment}', which {folder.name}/image.toml names; {remedy}"
            )
        for solved in found.platforms():
            if str(solved.subdir) == subdir:
                place = Place(environment, subdir)
                packages = unique(map(described, found.packages(solved) or []), name, place, remedy)
                return Locked(
                    conda={
                        record.name.normalized.lower(): record
                        for record in found.conda_repodata_records_for_platform(solved) or []
                    },
                    pypi=frozenset(package.name for package in packages.values() if package.kind == "pypi"),
                    cuda=next(
                        (text.split("=")[1] for text in solved.virtual_packages if text.startswith("__cuda=")), None
                    ),
                )
    raise LockError(f"{name}: environment '{environment}' has no packages for {subdir}; {remedy}")


def unmet(wanted: Requirements, locked: Locked) -> list[str]:
    """What an environment asks for and the locked packages do not give, a short sentence each."""
    problems = [f"{package} is not locked" for package in sorted(wanted.pypi - locked.pypi - locked.conda.keys())]
    for package, requirement in sorted(wanted.conda.items()):
        record = locked.conda.get(package)
        if record is None:
            problems.append(f"{package} is not locked")
        elif not rattler.MatchSpec(f"{package} {requirement}").matches(record):
            problems.append(f"{package} is locked at {record.version}, but {requirement} is asked for")
    return problems


def refresh(image: str) -> str:
    """The remedy for a lock that cannot be used."""
    return f"run 'pixi lock' in {image}/ and commit {LOCK}"


def version(text: str) -> tuple[int, ...]:
    """A version of numbers and dots, to compare."""
    return tuple(int(part) for part in text.split(".") if part.isdigit())


def _ways_to_package(tables: Sequence[Keys], package: str) -> list[Keys]:
    """Where a package may be asked for."""
    return [(*table, kind, package) for kind in ("dependencies", "pypi-dependencies") for table in tables]


def _table(manifest: Mapping[str, Any], way: Keys) -> Mapping[str, Any]:
    """A table of a manifest; an empty one where it is not there."""
    for key in way:
        manifest = manifest.get(str(key), {})
    return manifest


def _features(environment: dict[str, Any] | list[str]) -> list[str]:
    """The features of an environment, which pixi.toml gives as a list or in a table."""
    if isinstance(environment, dict):
        environment = environment.get("features", [])
    return list(environment)
