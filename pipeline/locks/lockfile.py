"""Read a pixi.lock of format 4 to 7 with py-rattler, and explain why a file cannot be read."""

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

#: Address of a package in a local file or folder, which is not downloaded.
LOCAL: Final = re.compile(r"(?![a-z+]+:)|file:", re.IGNORECASE)
#: Version that py-rattler reports for a package whose project sets its version at build time.
DYNAMIC: Final = "<dynamic>"
#: Markers of a merge conflict that git leaves in a file.
CONFLICT: Final = (b"<<<<<<< ", b">>>>>>> ")
#: Description of a file that cannot be read and has no newline at its end. One that can be read is taken, as by pixi.
CUT_OFF: Final = "ends in the middle of a line, as a file does that was cut off"


class LockTarget(NamedTuple):
    """Environment and platform that packages are locked for."""

    environment: str
    platform: str


@dataclass(frozen=True, slots=True)
class Package:
    """A locked package of any kind; fields that a lock does not give are empty."""

    kind: Literal["conda", "pypi", "virtual"]
    """Virtual packages describe the machine that the solver assumes, such as its CUDA version."""

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
    """Read all packages of a lock.

    Args:
        path: path of the lock.
        name: name of the lock in messages.
        remedy: remedy in error messages.

    Raises:
        LockError: the lock cannot be read, or holds a package twice for an environment and platform.
    """
    with readable(path, name, remedy):
        return packages_of(rattler.LockFile.from_path(path), name, remedy)


def packages_of(lock: rattler.LockFile, name: str, remedy: str) -> dict[LockTarget, Packages]:
    """Return all packages of a lock that py-rattler has read; call it inside :func:`readable`.

    Raises:
        LockError: the lock holds a package twice for an environment and platform.
    """
    return {
        target: unique(
            [*map(virtual, platform.virtual_packages), *map(described, environment.packages(platform) or [])],
            name,
            target,
            remedy,
        )
        for label, environment in lock.environments()
        for target, platform in targets(label, environment)
    }


@contextmanager
def readable(path: Path, name: str, remedy: str) -> Iterator[None]:
    """Turn py-rattler's errors about a lock into a LockError.

    Raises:
        LockError: py-rattler cannot read the lock; the message explains what is wrong with the file.
    """
    try:
        yield
    except LockError:
        raise
    except BaseException as error:
        # py-rattler has no error class of its own, and a panic in its Rust code is not even an Exception.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise LockError(Code.LOCK_INVALID, _explain(path, name, remedy, error)) from error


def unique(packages: Iterable[Package], name: str, target: LockTarget, remedy: str) -> Packages:
    """Return packages by kind and name.

    Raises:
        LockError: a package is there twice; pixi cannot install such a lock.
    """
    by_name: Packages = {}
    for package in packages:
        other = by_name.setdefault((package.kind, package.name), package)
        if other is not package:
            both = " and ".join(sorted(f"{each.version} {each.build}".strip() for each in (other, package)))
            raise LockError(
                Code.LOCK_INVALID,
                f"{name} holds package '{package.name}' twice for environment '{target.environment}' on "
                f"{target.platform}, as {both}; {remedy}",
            )
    return by_name


def described(locked: LockedPackage) -> Package:
    """Convert a package of py-rattler."""
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
        # The prefix marks an archive at a URL, as opposed to one from a package index.
        url=locked.location.removeprefix("direct+"),
        sha256=sha256.hex() if sha256 else None,
        md5=md5.hex() if md5 else None,
    )


def targets(label: str, environment: Environment) -> Iterator[tuple[LockTarget, LockPlatform]]:
    """Yield the platforms that an environment is locked for; those with the same subdir are distinguished by name."""
    platforms = environment.platforms()
    count = Counter(str(platform.subdir) for platform in platforms)
    for platform in platforms:
        subdir = str(platform.subdir)
        yield LockTarget(label, subdir if count[subdir] == 1 else f"{subdir} ({platform.name})"), platform


def virtual(text: str) -> Package:
    """Parse a virtual package, written in a lock as ``name=version=build``."""
    name, _, rest = text.partition("=")
    version, _, build = rest.partition("=")
    return Package("virtual", name, version, build)


def _hashes(locked: LockedPackage) -> tuple[bytes | None, bytes | None]:
    """Return SHA-256 and MD5; each is None if the lock does not give it."""
    try:
        return (locked.hashes.sha256, locked.hashes.md5) if locked.hashes else (None, None)
    except AttributeError:  # py-rattler 0.28 raises it if a lock has neither
        return None, None


def _explain(path: Path, name: str, remedy: str, error: BaseException) -> str:
    """Explain why a lock cannot be read: a known mistake, or else py-rattler's own message."""
    content = path.read_bytes() if path.is_file() else b""
    if path.is_file() and not content.strip():
        return f"{name} is empty; {remedy}"
    for number, line in enumerate(content.splitlines(), 1):
        if line.startswith(CONFLICT):
            return f"{name} cannot be read: git left a merge conflict in line {number}; {remedy}"
    details = " ".join(str(error).split())
    if content and not content.endswith(b"\n"):
        details = f"{details}, and it {CUT_OFF}"
    return f"{name} cannot be read: {details}; {remedy}"
