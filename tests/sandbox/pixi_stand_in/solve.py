"""A lock made of a manifest: py-rattler solves its conda half, uv the other, and it is written as pixi writes it."""

from typing import Final

import rattler

from . import pypi
from .config import cache_folder, client
from .failures import PixiError, chain, nested
from .lock import Lock, Packages, version_of
from .metadata import fetch
from .platforms import Platform
from .specs import conda_specs, full_version, is_source
from .workspace import Environment, Workspace
from .writing import Solved, written

#: What says which conda package is which PyPI package; pixi asks it while it solves for PyPI packages.
MAPPING: Final = "https://conda-mapping.prefix.dev/compressed-v0/compressed_mapping.json"
MAPPING_HELP: Final = (
    "If this host cannot be reached (e.g. behind a firewall), you can avoid the network lookup: point the channel's "
    "`conda-pypi-map` entry at your own mapping with `location`, replace the default mapping data with "
    '`mapping-mode = "replace"`, disable the channel with `<channel> = false`, or disable the mapping entirely with '
    "`conda-pypi-map = false`."
)


async def solve(workspace: Workspace, old: Lock | None) -> str:
    """The lock that fits a manifest, as text; of an old lock everything is kept that fits.

    Raises:
        PixiError: there is no solution, or something cannot be reached.
    """
    gateway = rattler.Gateway(cache_dir=cache_folder() / "repodata", client=client())
    solved: Solved = {}
    for environment in workspace.environments.values():
        for platform in environment.platforms:
            before = (old and old.packages(environment.name, platform)) or Packages([], [], [])
            where = f"requirements of environment '{environment.name}' for platform '{platform.name}'"
            try:
                records = await _conda(environment, platform, before, gateway)
            except PixiError as error:
                raise PixiError(f"failed to solve {where}", *error.causes, remedy=error.help) from error
            if environment.pypi(platform) and workspace.table.get("conda-pypi-map") is not False:
                _ask_mapping()
            try:
                packages = pypi.resolve(environment, platform, records, before.pypi)
            except PixiError as error:
                raise PixiError(f"failed to solve the pypi {where}", *error.causes, remedy=error.help) from error
            solved[environment.name, platform.name] = records, packages
    return written(workspace, solved)


async def _conda(
    environment: Environment, platform: Platform, before: Packages, gateway: rattler.Gateway
) -> list[rattler.RepoDataRecord]:
    for name, wanted in environment.requests(platform).items():
        if any(is_source(one) for one in wanted):
            raise PixiError(f"failed to get the metadata of source package '{name}'", "no build backend can be fetched")
    virtual = []
    for name, text in platform.virtual_packages.items():
        version, _, build = full_version(name, text).partition("=")
        virtual.append(
            rattler.GenericVirtualPackage(
                rattler.PackageName(name), rattler.Version(version), rattler.BuildString(build or "0")
            )
        )
    priority = environment.workspace.table.get("channel-priority", "strict")
    try:
        return await rattler.solve(
            sources=environment.channels,
            specs=conda_specs(environment, platform),
            gateway=gateway,
            platforms=[platform.subdir, "noarch"],  # type: ignore[list-item]
            locked_packages=before.conda,
            virtual_packages=virtual,
            channel_priority=rattler.ChannelPriority.Disabled
            if priority == "disabled"
            else rattler.ChannelPriority.Strict,
        )
    except Exception as error:
        # py-rattler's classes of errors are many. pixi draws one of them within the other, and leaves a line after it.
        first, *others = chain(str(error))
        if first.startswith("Cannot solve"):
            raise PixiError("  × failed to solve the environment\n\n", f"{first}\n\n") from error
        raise PixiError(nested(first), *others) from error


def _ask_mapping() -> None:
    try:
        fetch(MAPPING)
    except OSError as error:
        raise PixiError(
            "failed to map conda packages to their PyPI equivalents. This mapping is required when using PyPI "
            "dependencies alongside conda packages.",
            "failed to fetch conda-pypi mapping from remote source",
            f"Cache error: Request failed after 3 retries: {error}",
            remedy=MAPPING_HELP,
        ) from error


def changes(before: Lock | None, after: Lock, workspace: Workspace) -> list[str]:
    """What changed from a lock to the next one, a line for each package."""
    lines = []
    for environment in workspace.environments.values():
        for platform in environment.platforms:
            old, new = _versions(before, environment, platform), _versions(after, environment, platform)
            for name in sorted(set(old) | set(new)):
                sign = "+" if name not in old else "-" if name not in new else "~"
                if old.get(name) != new.get(name):
                    lines.append(f"  {sign} {name}  {old.get(name, '')}  {new.get(name, '')}".rstrip())
    return lines


def _versions(lock: Lock | None, environment: Environment, platform: Platform) -> dict[str, str]:
    found = (lock and lock.packages(environment.name, platform)) or Packages([], [], [])
    conda = {record.name.normalized: f"{record.version} {record.build}" for record in found.conda}
    return conda | {package.name: version_of(package) for package in found.pypi}
