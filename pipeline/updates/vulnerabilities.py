"""Known vulnerabilities of locked Python packages: pip-audit asks an OSV service about them, in a container.

OSV has the packages of PyPI, and none of conda's. So a conda package is looked up only if the lock maps it to a PyPI
package, or if it depends on Python, under its own name. Libraries such as OpenSSL are not looked up.
"""

import json
import re
import uuid
from collections.abc import Collection, Iterable, Mapping
from typing import Final

import dagger
import rattler
from dagger import dag
from packaging.utils import canonicalize_name, is_normalized_name
from packaging.version import InvalidVersion, Version
from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.build.tool_container import with_packages
from pipeline.config.settings import Settings
from pipeline.errors import Code, OutdatedError
from pipeline.locks.lockfile import Package

#: A package's name at PyPI, and its version.
type Pair = tuple[str, str]

#: Affixes that conda-forge adds to the names of PyPI packages.
_ADDED: Final = re.compile(r"^python-|-(?:python|core|base)$")
#: Dependencies that mark a package as one for Python.
_PYTHON: Final = frozenset({"python", "python_abi"})
#: Packages that are Python itself, and not at PyPI.
_ITSELF: Final = frozenset({"python", "python_abi", "python-gil", "cpython"})
_COMMAND: Final = ("pip-audit", "--no-deps", "--disable-pip", "--progress-spinner=off", "--format=json", "--desc=off")
#: Keeps the last line of stderr, which has the reason; above it is a traceback if pip-audit cannot connect.
_LAST_LINE: Final = 'code=0; "$@" 2> /stderr || code=$?; tail -n 1 /stderr >&2; exit "$code"'


class Vulnerability(BaseModel):
    """One known vulnerability of a package's version."""

    model_config = ConfigDict(frozen=True)

    id: str
    aliases: tuple[str, ...] = ()
    fix_versions: tuple[str, ...] = ()
    """The versions that fix it, up to one for each release series."""


class Audited(BaseModel):
    """One package, as pip-audit reports it."""

    model_config = ConfigDict(frozen=True)

    name: str
    version: str = ""
    vulns: tuple[Vulnerability, ...] = ()


class AuditReport(BaseModel):
    """Output of pip-audit."""

    model_config = ConfigDict(frozen=True)

    dependencies: tuple[Audited, ...]


def find_python(conda: Iterable[rattler.RepoDataRecord], pypi: Iterable[Package]) -> dict[Pair, str]:
    """Return locked Python packages: the name in the lock by the name and version at PyPI.

    Args:
        conda: conda packages.
        pypi: PyPI packages.
    """
    names = {(package.name, package.version): package.name for package in pypi}
    for record in conda:
        name, version = record.name.normalized, str(record.version)
        names |= {(candidate, version): name for candidate in pypi_names(record)}
    return {pair: name for pair, name in names.items() if _is_version(pair[1])}


def pypi_names(record: rattler.RepoDataRecord) -> set[str]:
    """Return the possible PyPI names of a conda package: those in the lock, or its own if it depends on Python."""
    purls: list[str] | None = json.loads(record.to_json()).get("purls")
    if purls is not None:
        matches = (re.fullmatch(r"pkg:pypi/([^@?#]+).*", purl) for purl in purls)
        return {canonicalize_name(match[1]) for match in matches if match}
    name = record.name.normalized
    if name in _ITSELF or not any(depend.split()[0] in _PYTHON for depend in record.depends):
        return set()
    candidates = {canonicalize_name(each) for each in (name, _ADDED.sub("", name))}
    return {candidate for candidate in candidates if is_normalized_name(candidate)}


def rounds(pairs: Collection[Pair]) -> list[list[Pair]]:
    """Divide packages into as few lists as possible, each name once in a list, because pip-audit requires that."""
    lists: list[dict[str, str]] = []
    for name, version in sorted(pairs):
        into = next((each for each in lists if name not in each), None)
        if into is None:
            into = {}
            lists.append(into)
        into[name] = version
    return [list(each.items()) for each in lists]


def fixed_in(version: str, vulnerability: Vulnerability) -> str:
    """Return the first later version that fixes a vulnerability; empty without one."""
    later = [fix for fix in vulnerability.fix_versions if _is_version(fix) and Version(fix) > Version(version)]
    return min(later, key=Version, default="")


async def audit(packages: Collection[Pair], settings: Settings) -> Mapping[Pair, tuple[Vulnerability, ...]]:
    """Return the known vulnerabilities of packages, without the packages that have none.

    Raises:
        OutdatedError: the OSV service cannot be queried.
    """
    vulnerabilities: dict[Pair, tuple[Vulnerability, ...]] = {}
    for pairs in rounds(packages):
        for package in await _ask(pairs, settings):
            if package.vulns:
                vulnerabilities[canonicalize_name(package.name), package.version] = package.vulns
    return vulnerabilities


async def _ask(pairs: Iterable[Pair], settings: Settings) -> tuple[Audited, ...]:
    listed = "".join(f"{name}=={version}\n" for name, version in pairs)
    service = ("--vulnerability-service=osv", f"--osv-url={settings.osv}", "--requirement=/packages.txt")
    container = (
        dag.container()
        .from_(settings.fetch_base)
        .with_(with_packages("audit.lock"))
        .with_mounted_file("/packages.txt", dag.file("packages.txt", listed))
        # OSV's content changes between calls, so the engine must not answer from its cache.
        .with_env_variable("ASKED", uuid.uuid4().hex)
        # pip-audit exits with 1 both if it found vulnerabilities and if it failed.
        .with_exec(["sh", "-uc", _LAST_LINE, "sh", *_COMMAND, *service], expect=dagger.ReturnType.ANY)
    )
    try:
        return AuditReport.model_validate_json(await container.stdout()).dependencies
    except ValidationError:
        reason = (await container.stderr()).strip() or "it printed nothing"
    except dagger.QueryError as error:
        reason = str(error)
    raise OutdatedError(Code.OUTDATED_INCOMPLETE, f"pip-audit could not ask it: {reason}")


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True
