"""The parts of a manifest that environments are made of, and the platforms that each is for."""

from dataclasses import dataclass
from typing import Final

from .failures import PixiError
from .platforms import Platform, Table, with_requirement

type Requests = dict[str, list[Table]]

#: Tables of conda packages; of old manifests all that an environment has.
DEPENDENCIES: Final = ("dependencies", "host-dependencies", "build-dependencies")


@dataclass(frozen=True)
class Feature:
    """A part of a manifest that environments are made of."""

    name: str
    table: Table
    platforms: tuple[str, ...] | None = None

    def targets(self, platform: Platform) -> list[Table]:
        """The tables that count on a platform, the most specific first."""
        found = [table for key, table in self.table.get("target", {}).items() if platform.is_meant(key)]
        return [*reversed(found), self.table]

    def requests(self, platform: Platform, kinds: tuple[str, ...]) -> Requests:
        """What is asked for by name, each a table."""
        found: Requests = {}
        for table in reversed(self.targets(platform)):
            for kind in kinds:
                for name, value in table.get(kind, {}).items():
                    wanted = value if isinstance(value, list) else [value]
                    found[name] = [one if isinstance(one, dict) else {"version": one} for one in wanted]
        return found


def names(table: Table, feature: str = "") -> tuple[str, ...] | None:
    """The platforms that a feature is for; None where it is for all."""
    # The default feature's table is the manifest's, which has no platforms of its own.
    return tuple(table["platforms"]) if "platforms" in table and feature != "default" else None


def migrated(declared: list[Platform], features: dict[str, Feature]) -> tuple[list[Platform], dict[str, Feature], bool]:
    """Platforms with what features require of the system, and those features with the platforms that this makes.

    Raises:
        PixiError: the platforms say it themselves already, or a feature names a platform that there is not.
    """
    simple = all(platform.name == platform.subdir for platform in declared)
    originals = {platform.name: platform for platform in declared}
    for feature in features.values():
        for name in feature.platforms or ():
            if name not in originals and simple:
                originals[name] = Platform(name, name)
            elif name not in originals:
                raise PixiError(
                    f"feature '{feature.name}' references platform '{name}' which is not declared in the workspace",
                    remedy=f"the workspace declares: {', '.join(originals)}",
                )
    required = {
        name: table for name, feature in features.items() if (table := feature.table.get("system-requirements"))
    }
    if not required:
        return list(originals.values()), features, simple
    if not simple:
        where = "the default feature" if "default" in required else f"feature '{next(iter(required))}'"
        raise PixiError(
            f"{where} uses `[system-requirements]` but the workspace declares per-platform virtual packages; remove "
            "the system-requirements table and declare the constraints on the platforms instead"
        )
    made: dict[str, Platform] = {}
    found = {}
    for name, feature in features.items():
        platforms = [originals[one] for one in (feature.platforms if feature.platforms is not None else originals)]
        if name in required:
            platforms = [with_requirement(platform.subdir, required[name]) for platform in platforms]
            feature = Feature(name, feature.table, tuple(platform.name for platform in platforms))  # noqa: PLW2901
        if feature.platforms is not None:
            made |= {platform.name: platform for platform in platforms}
        found[name] = feature
    covered = {platform.subdir for platform in made.values()}
    made |= {name: platform for name, platform in originals.items() if platform.subdir not in covered}
    return list(made.values()), found, True
