"""A pixi.lock as a file: formats 4 to 7, read by py-rattler, and a sentence for each one that cannot be read."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple

import rattler
from packaging.utils import canonicalize_name
from rattler.lock import (
    CondaLockedBinaryPackage,
    CondaLockedPackage,
    Environment,
    LockedPackage,
    LockPlatform,
    PypiLockedPackage,
)

from pipeline.errors import Code, LockError

#: The address of a package that is a file or folder beside the manifest, and not one that is fetched.
LOCAL: Final = re.compile(r"(?![a-z+]+:)|file:", re.IGNORECASE)
#: What py-rattler says of the version of a package whose own project says it when it is built.
DYNAMIC: Final = "<dynamic>"
#: How git marks the parts of a file that it could not merge.
CONFLICT: Final = (b"<<<<<<< ", b">>>>>>> ")
#: What is told of a file whose last line has no end: pixi ends every line.
CUT_OFF: Final = "ends in the middle of a line, as a file does that was cut off"


class LockTarget(NamedTuple):
    """What packages are locked for."""

    environment: str
    platform: str


@dataclass(frozen=True, slots=True)
class Package:
    """One locked package, of any kind, with what a lock says of it; not every lock says all."""

    kind: Literal["conda", "pypi", "virtual"]
    """Virtual packages are what the solver takes the machine to have, such as a CUDA version."""

    name: str
    version: str
    build: str = ""
    url: str = ""
    sha256: str | None = None
    md5: str | None = None
    size: int | None = None
    """Bytes to download."""

    license: str | None = None

    @property
    def origin(self) -> tuple[str, str, str]:
        """A conda package's channel, folder and file; each is empty where its address has no such part."""
        *before, subdir, file = ("", "", *self.url.rsplit("/", 2))
        return before[-1], subdir, file


#: Packages by kind and name.
type Packages = dict[tuple[str, str], Package]


def read_packages(path: Path, name: str, remedy: str) -> dict[LockTarget, Packages]:
    """All that a lock holds.

    Args:
        path: the lock.
        name: what messages call it.
        remedy: what a person should do where it cannot be used.

    Raises:
        LockError: it cannot be read, or holds a package twice for the same place.
    """
    with readable(path, name, remedy):
        return packages_of(rattler.LockFile.from_path(path), name, remedy)


def packages_of(lock: rattler.LockFile, name: str, remedy: str) -> dict[LockTarget, Packages]:
    """All that a lock holds which py-rattler has read; its errors are told by :func:`readable`.

    Raises:
        LockError: it holds a package twice for the same place.
    """
    return {
        place: unique(
            [*map(virtual, platform.virtual_packages), *map(described, environment.packages(platform) or [])],
            name,
            place,
            remedy,
        )
        for label, environment in lock.environments()
        for place, platform in places(label, environment)
    }


@contextmanager
def readable(path: Path, name: str, remedy: str) -> Iterator[None]:
    """Tell what py-rattler cannot do with a lock as a LockError.

    Raises:
        LockError: says what is wrong with the file, as far as can be seen.
    """
    try:
        yield
    except LockError:
        raise
    except BaseException as error:
        # py-rattler's errors have no class of their own, and where its own code panics not even Exception's.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise LockError(Code.LOCK_INVALID, _explain(path, name, remedy, error)) from error
    # What was lost may be the end of a size, or a hash: the rest can be read, and would be believed.
    if _is_cut_off(path):
        raise LockError(Code.LOCK_INVALID, f"{name} {CUT_OFF}; {remedy}")


def unique(packages: Iterable[Package], name: str, place: LockTarget, remedy: str) -> Packages:
    """Packages by kind and name.

    Raises:
        LockError: one of them is there twice; pixi installs none of such a lock.
    """
    found: Packages = {}
    for package in packages:
        other = found.setdefault((package.kind, package.name), package)
        if other is not package:
            both = " and ".join(sorted(f"{each.version} {each.build}".strip() for each in (other, package)))
            raise LockError(
                Code.LOCK_INVALID,
                f"{name} holds package '{package.name}' twice for environment '{place.environment}' on "
                f"{place.platform}, as {both}; {remedy}",
            )
    return found


def described(locked: LockedPackage) -> Package:
    """One package of py-rattler's, as this module describes packages."""
    if isinstance(locked, CondaLockedBinaryPackage):
        record = locked.repo_data_record()
        return Package(
            kind="conda",
            name=record.name.normalized.lower(),
            version=str(record.version),
            build=str(record.build),
            url=record.url,
            sha256=record.sha256.hex() if record.sha256 else None,
            md5=record.md5.hex() if record.md5 else None,
            size=record.size,
            license=record.license,
        )
    kind: Literal["conda", "pypi"] = "conda" if isinstance(locked, CondaLockedPackage) else "pypi"
    version = str(locked.version or "") if isinstance(locked, CondaLockedPackage | PypiLockedPackage) else ""
    sha256, md5 = _hashes(locked)
    return Package(
        kind=kind,
        name=canonicalize_name(locked.name) if kind == "pypi" else locked.name.lower(),
        version="" if version == DYNAMIC else version,
        # A wheel or source archive at an address of its own, as PEP 610 tells it from one of an index.
        url=locked.location.removeprefix("direct+"),
        sha256=sha256.hex() if sha256 else None,
        md5=md5.hex() if md5 else None,
    )


def places(label: str, environment: Environment) -> Iterator[tuple[LockTarget, LockPlatform]]:
    """The platforms that an environment is locked for; where there are several of one kind, each has its own name."""
    platforms = environment.platforms()
    count = Counter(str(platform.subdir) for platform in platforms)
    for platform in platforms:
        subdir = str(platform.subdir)
        yield LockTarget(label, subdir if count[subdir] == 1 else f"{subdir} ({platform.name})"), platform


def virtual(text: str) -> Package:
    """A virtual package, which a lock writes as name, version and build with equals signs between."""
    name, _, rest = text.partition("=")
    version, _, build = rest.partition("=")
    return Package("virtual", name, version, build)


def _hashes(locked: LockedPackage) -> tuple[bytes | None, bytes | None]:
    """SHA-256 and MD5, each where the lock has it."""
    try:
        return (locked.hashes.sha256, locked.hashes.md5) if locked.hashes else (None, None)
    except AttributeError:  # what py-rattler 0.28 raises where a lock has neither
        return None, None


def _explain(path: Path, name: str, remedy: str, error: BaseException) -> str:
    """Why a lock cannot be read: what a person did to it, or else what py-rattler says of it."""
    content = path.read_bytes() if path.is_file() else b""
    if path.is_file() and not content.strip():
        return f"{name} is empty; {remedy}"
    for number, line in enumerate(content.splitlines(), 1):
        if line.startswith(CONFLICT):
            return f"{name} cannot be read: git left a merge conflict in line {number}; {remedy}"
    said = " ".join(str(error).split())
    if content and _is_cut_off(path):
        said = f"{said}, and it {CUT_OFF}"
    return f"{name} cannot be read: {said}; {remedy}"


def _is_cut_off(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"
