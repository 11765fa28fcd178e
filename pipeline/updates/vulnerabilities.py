"""Known vulnerabilities of locked Python packages: pip-audit asks an OSV service about them, in a container.

OSV knows packages by the names that PyPI has for them, and none of conda's. So what is asked about is what a lock says
to be a package of PyPI, or what depends on Python, by its name; libraries such as OpenSSL are not looked up.
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
from pipeline.config.project_toml import Settings
from pipeline.errors import Code, OutdatedError
from pipeline.locks.lockfile import Package

#: A package's name at PyPI, and its version.
type Pair = tuple[str, str]

#: What conda-forge adds to the names of packages that PyPI has without it.
_ADDED: Final = re.compile(r"^python-|-(?:python|core|base)$")
#: What depends on one of them is made for Python.
_PYTHON: Final = frozenset({"python", "python_abi"})
#: What is Python itself, and no package of PyPI.
_ITSELF: Final = frozenset({"python", "python_abi", "python-gil", "cpython"})
_COMMAND: Final = ("pip-audit", "--no-deps", "--disable-pip", "--progress-spinner=off", "--format=json", "--desc=off")
#: Its last line on stderr says why it failed; what stands above is a traceback, where it cannot connect.
_QUIETLY: Final = 'code=0; "$@" 2> /said || code=$?; tail -n 1 /said >&2; exit "$code"'


class Vulnerability(BaseModel):
    """One that is known of a version."""

    model_config = ConfigDict(frozen=True)

    id: str
    aliases: tuple[str, ...] = ()
    fix_versions: tuple[str, ...] = ()
    """The versions in which it was mended; there may be one a line of releases."""


class Audited(BaseModel):
    """One package, as pip-audit reports it."""

    model_config = ConfigDict(frozen=True)

    name: str
    version: str = ""
    vulns: tuple[Vulnerability, ...] = ()


class AuditReport(BaseModel):
    """What pip-audit prints."""

    model_config = ConfigDict(frozen=True)

    dependencies: tuple[Audited, ...]


def find_python(conda: Iterable[rattler.RepoDataRecord], pypi: Iterable[Package]) -> dict[Pair, str]:
    """Locked packages of Python: the name in the lock by what PyPI has.

    Args:
        conda: conda packages.
        pypi: PyPI packages.
    """
    found = {(package.name, package.version): package.name for package in pypi}
    for record in conda:
        name, version = record.name.normalized, str(record.version)
        found |= {(candidate, version): name for candidate in pypi_names(record)}
    return {pair: name for pair, name in found.items() if _is_version(pair[1])}


def pypi_names(record: rattler.RepoDataRecord) -> set[str]:
    """What PyPI may call a conda package: what the lock says, or else its name, where it depends on Python."""
    purls: list[str] | None = json.loads(record.to_json()).get("purls")
    if purls is not None:
        named = (re.fullmatch(r"pkg:pypi/([^@?#]+).*", purl) for purl in purls)
        return {canonicalize_name(found[1]) for found in named if found}
    name = record.name.normalized
    if name in _ITSELF or not any(depend.split()[0] in _PYTHON for depend in record.depends):
        return set()
    candidates = {canonicalize_name(each) for each in (name, _ADDED.sub("", name))}
    return {candidate for candidate in candidates if is_normalized_name(candidate)}


def rounds(wanted: Collection[Pair]) -> list[list[Pair]]:
    """Packages in as few lists as have each name once: pip-audit takes a package in one version at a time."""
    lists: list[dict[str, str]] = []
    for name, version in sorted(wanted):
        into = next((each for each in lists if name not in each), None)
        if into is None:
            into = {}
            lists.append(into)
        into[name] = version
    return [list(each.items()) for each in lists]


def fixed_in(version: str, found: Vulnerability) -> str:
    """The first later version in which a vulnerability was mended; empty where there is none."""
    later = [fix for fix in found.fix_versions if _is_version(fix) and Version(fix) > Version(version)]
    return min(later, key=Version, default="")


async def audit(wanted: Collection[Pair], settings: Settings) -> Mapping[Pair, tuple[Vulnerability, ...]]:
    """The known vulnerabilities of packages, of those that have some.

    Raises:
        OutdatedError: the OSV service cannot be asked.
    """
    found: dict[Pair, tuple[Vulnerability, ...]] = {}
    for pairs in rounds(wanted):
        for package in await _ask(pairs, settings):
            if package.vulns:
                found[canonicalize_name(package.name), package.version] = package.vulns
    return found


async def _ask(pairs: Iterable[Pair], settings: Settings) -> tuple[Audited, ...]:
    listed = "".join(f"{name}=={version}\n" for name, version in pairs)
    service = ("--vulnerability-service=osv", f"--osv-url={settings.osv}", "--requirement=/packages.txt")
    asking = (
        dag.container()
        .from_(settings.fetch_base)
        .with_(with_packages("audit.lock"))
        .with_mounted_file("/packages.txt", dag.file("packages.txt", listed))
        # What is known now is never what was known at a previous call.
        .with_env_variable("ASKED", uuid.uuid4().hex)
        # It ends with 1 where it found something, and where it failed.
        .with_exec(["sh", "-uc", _QUIETLY, "sh", *_COMMAND, *service], expect=dagger.ReturnType.ANY)
    )
    try:
        return AuditReport.model_validate_json(await asking.stdout()).dependencies
    except ValidationError:
        reason = (await asking.stderr()).strip() or "it printed nothing"
    except dagger.QueryError as error:
        reason = str(error)
    raise OutdatedError(Code.OUTDATED_INCOMPLETE, f"pip-audit could not ask it: {reason}")


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True
