"""Requirements of conda packages, from a manifest's tables."""

import rattler

from .failures import PixiError
from .platforms import Platform, Table
from .workspace import Environment


def is_source(asked: Table) -> bool:
    """Whether pixi would build a conda package itself."""
    return "git" in asked or ("path" in asked and not str(asked["path"]).endswith((".conda", ".tar.bz2")))


def conda_specs(environment: Environment, platform: Platform) -> list[rattler.MatchSpec]:
    """What is asked for of conda packages.

    Raises:
        PixiError: a requirement is none.
    """
    specs = []
    for name, wanted in environment.requests(platform).items():
        for one in wanted:
            if is_source(one):
                continue
            text = f"{name} {one.get('version', '*')} {one.get('build', '')}".strip()
            details = [f"{key}='{one[key]}'" for key in ("subdir", "md5", "sha256", "url") if key in one]
            details += [f"build_number='{one['build-number']}'"] if "build-number" in one else []
            details += [f"channel='{one['channel']}'"] if "channel" in one else []
            try:
                specs.append(rattler.MatchSpec(f"{text}[{', '.join(details)}]" if details else text))
            except Exception as error:
                raise PixiError(f"'{one.get('version')}' is not a valid version of '{name}': {error}") from error
    return specs


def full_version(name: str, version: str) -> str:
    """The version of a virtual package as packages see it: that of the processor's kind is 1, whatever is declared."""
    return f"1={version.partition('=')[2]}" if name == "__archspec" else version


def matched(spec: rattler.MatchSpec, name: str, version: str, subdir: str) -> bool:
    """Whether a virtual package is what a requirement wants.

    Args:
        spec: the requirement.
        name: of the virtual package.
        version: its version, with its build after an equals sign where it has one.
        subdir: the platform, as conda calls it.
    """
    number, _, build = full_version(name, version).partition("=")
    record = rattler.PackageRecord(
        name=name,
        version=number,
        build=rattler.BuildString(build or "0"),
        build_number=0,
        subdir=subdir,
        arch=None,
        platform=None,
    )
    return spec.matches(record)
