"""Platforms that a workspace is solved for, and what each has to have."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import rattler

from .failures import PixiError

type Table = Mapping[str, Any]

#: What pixi takes every machine of a platform to have.
BASELINE: Final = {
    "linux": {"__unix": "0=0", "__linux": "4.18", "__glibc": "2.28"},
    "osx": {"__unix": "0=0", "__osx": "13.0"},
    "win": {"__win": "10.0"},
}
ARCHITECTURES: Final = {"64": "x86_64", "aarch64": "aarch64", "arm64": "m1", "ppc64le": "ppc64le"}
#: Short keys of platforms and of system requirements, in the order in which they make a name.
FRIENDLY: Final = {"cuda": "__cuda", "archspec": "__archspec", "glibc": "__glibc", "linux": "__linux", "macos": "__osx"}
FAMILIES: Final = {"unix": ("linux", "osx"), "linux": ("linux",), "osx": ("osx",), "macos": ("osx",), "win": ("win",)}


@dataclass(frozen=True)
class Platform:
    """A platform that a workspace is solved for.

    Attributes:
        name: its own name, or that of the subdir.
        subdir: what conda calls it.
        declared: virtual packages beside those that every machine of the subdir has: version by name.
    """

    name: str
    subdir: str
    declared: Mapping[str, str] = field(default_factory=dict)

    @property
    def family(self) -> str:
        """The operating system."""
        return self.subdir.partition("-")[0]

    @cached_property
    def virtual_packages(self) -> dict[str, str]:
        """All that packages may rely on: version, and build after an equals sign, by name."""
        found = {**self.declared}
        libc = any(name in found for name in ("__glibc", "__musl", "__eglibc"))
        for name, version in baseline(self.subdir).items():
            if not (name == "__glibc" and libc):
                found.setdefault(name, version)
        return found

    def meets(self, machine: Mapping[str, str]) -> list[str]:
        """The declared virtual packages that a machine lacks."""
        return [
            f"{name} >= {version}"
            for name, version in self.declared.items()
            if name not in machine or rattler.Version(machine[name]) < rattler.Version(version.partition("=")[0])
        ]

    def is_meant(self, selector: str) -> bool:
        """Whether a target of a manifest is this platform."""
        return selector in (self.name, self.subdir) or self.family in FAMILIES.get(selector, ())


def declared_platform(value: str | Table) -> Platform:
    """A platform as a workspace lists it."""
    if isinstance(value, str):
        return Platform(value, value)
    subdir = value.get("platform", value.get("name", ""))
    declared: dict[str, str] = {}
    cuda = value.get("cuda")
    if isinstance(cuda, dict):
        declared["__cuda"] = cuda["driver"]
        if "arch" in cuda:
            declared["__cuda_arch"] = cuda["arch"]
    elif cuda is not None:
        declared["__cuda"] = cuda
    for key, package in FRIENDLY.items():
        if key != "cuda" and key in value:
            declared[package] = f"0={value[key]}" if key == "archspec" else value[key]
    declared |= {key: version for key, version in value.items() if key.startswith("__")}
    declared = customised(subdir, declared)
    return Platform(value.get("name", synthesized(subdir, declared)), subdir, declared)


def with_requirement(subdir: str, required: Table) -> Platform:
    """The platform of a subdir with a table of system requirements.

    Raises:
        PixiError: it has a key that there is not.
    """
    if unknown := set(required) - {"macos", "linux", "cuda", "libc", "archspec"}:
        text = "Unexpected keys, expected only 'macos', 'linux', 'cuda', 'libc', 'archspec'"
        near = difflib.get_close_matches(min(unknown), ["macos", "linux", "cuda", "libc", "archspec"], 1, 0)
        raise PixiError(text, remedy=f"Did you mean '{near[0]}'?")
    libc = required.get("libc")
    family, version = (libc.get("family", "glibc"), libc["version"]) if isinstance(libc, dict) else ("glibc", libc)
    wanted = {"__linux": required.get("linux"), "__cuda": required.get("cuda"), "__osx": required.get("macos")}
    wanted[f"__{family}"] = version
    elsewhere = {"linux": {"__osx"}, "osx": {"__linux", "__cuda", f"__{family}"}}.get(
        subdir.partition("-")[0], {"__osx", "__linux", f"__{family}"}
    )
    declared = customised(
        subdir, {name: str(one) for name, one in wanted.items() if one is not None and name not in elsewhere}
    )
    return Platform(synthesized(subdir, declared), subdir, declared)


def combined(subdir: str, platforms: list[Platform]) -> Platform:
    """The platform of an environment whose features want some of one subdir: of each requirement the highest."""
    if len(platforms) == 1:
        return platforms[0]
    union: dict[str, str] = {}
    for platform in platforms:
        for name, version in platform.declared.items():
            if name not in union or rattler.Version(union[name]) < rattler.Version(version):
                union[name] = version
    union = dict(sorted(union.items()))
    return Platform(synthesized(subdir, union), subdir, union) if union else Platform(subdir, subdir)


def baseline(subdir: str) -> dict[str, str]:
    """The virtual packages that every machine of a subdir has."""
    family, _, architecture = subdir.partition("-")
    found = dict(BASELINE.get(family, {}))
    if architecture in ARCHITECTURES:
        found["__archspec"] = f"0={ARCHITECTURES[architecture]}"
    return found


def customised(subdir: str, declared: Mapping[str, str]) -> dict[str, str]:
    """Virtual packages without those that every machine of a subdir has."""
    usual = baseline(subdir)
    return {name: version for name, version in declared.items() if not same(usual.get(name), version)}


def same(one: str | None, other: str) -> bool:
    """Whether two virtual packages are of one version and build."""
    if one is None:
        return False
    (version, _, build), (second, _, other_build) = one.partition("="), other.partition("=")
    return rattler.Version(version) == rattler.Version(second) and build == other_build


def synthesized(subdir: str, declared: Mapping[str, str]) -> str:
    """The name that a platform has where none is given."""
    friendly = {package: key for key, package in FRIENDLY.items()}
    order = [*(package for package in friendly if package in declared), *sorted(set(declared) - set(friendly))]
    parts = [subdir]
    for package in order:
        value = declared[package].removeprefix("0=")
        parts.append(f"{friendly.get(package, package.lstrip('_'))}-{value}")
    return "-".join(re.sub(r"[^A-Za-z0-9]+", "-", part).strip("-") for part in parts)


def this_machine() -> dict[str, str]:
    """Versions of the virtual packages of this machine, with what CONDA_OVERRIDE_CUDA and the like say."""
    found = rattler.VirtualPackage.detect(rattler.VirtualPackageOverrides.from_env())
    generic = [package.into_generic() for package in found]
    return {package.name.normalized: str(package.version) for package in generic}


def unsupported(environment: str, platforms: Sequence[Platform], subdir: str, machine: Mapping[str, str]) -> PixiError:
    """The failure of an environment that this machine cannot run."""
    lead = f"The workspace does not support '{subdir}'"
    hint = f"\n\nAdd it with 'pixi workspace platform add {subdir}'."
    if environment != "default":
        lead, hint = f"the environment '{environment}' does not support '{subdir}'", ""
    lines, missing = [], []
    for platform in platforms:
        label = platform.name if platform.name == platform.subdir else f"{platform.name} (subdir {platform.subdir})"
        if platform.subdir != subdir:
            lines.append(f"  - {label}: requires subdir '{platform.subdir}', which this machine can't run")
        else:
            lacking = platform.meets(machine)
            missing += [one for one in lacking if one not in missing]
            lines.append(f"  - {label}: missing virtual packages: {', '.join(lacking)}")
    text = f"{lead} on this machine.\n\nDeclared platforms and why none runs here:\n" + "\n".join(lines)
    if missing:
        text += f"\n\nUnsatisfied requirements: {', '.join(missing)}"
    mock = [f"CONDA_OVERRIDE_{one.split()[0].strip('_').upper()}={one.split()[-1]}" for one in missing]
    base = f"supported platforms are {', '.join(platform.name for platform in platforms)}"
    if mock:
        base = "Mock the missing virtual packages via the environment, e.g.:\n  " + "\n  ".join(mock)
    remedy = f"{base}\nOr install for a target this machine cannot run with `pixi install --platform <platform>`."
    return PixiError(text + hint, remedy=remedy, code="unsupported-platform")
