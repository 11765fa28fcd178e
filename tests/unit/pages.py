"""Pages for tests: what they say, without an engine that would gather it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.config.image_toml import load_spec
from pipeline.locks.lockfile import LockTarget, Package, Packages, read_packages
from pipeline.page import Page, Repository, Tag, commands, describe_changes, describe_layers, describe_packages
from pipeline.smoke.results import Result, Results

ROOT = Path(__file__).parents[2]
PLACE = LockTarget("ml", "linux-64")
DIGEST = "sha256:" + "0123456789abcdef" * 4
REPOSITORIES = (
    Repository(name="ghcr.io/lab/small", tags=(Tag(name="2026.2.0", digest=DIGEST),), more=3),
    Repository(name="hub.org/lab/small", failure="reading the tags failed: it did not answer"),
)
PROBES = Results(
    results=(
        Result(image="small", kind="script", name="python", version="3.12.1", detail="OpenSSL 3", seconds=1.0),
        Result(image="small", kind="command", name="root -b", failure="exited with 3", output="a line\n", seconds=2.0),
    )
)


def package(name: str, size: int | None = 1000, **changed: Any) -> Package:  # noqa: ANN401  # of a package's fields
    """A conda package."""
    fields = {"version": "1.0", "build": "h_0", "url": f"https://c/linux-64/{name}.conda", "sha256": f"{name}-1"}
    return Package(**{"kind": "conda", "name": name, "size": size, "license": "MIT", **fields, **changed})


def real() -> list[Package]:
    """The packages that are locked for ml_platform."""
    return list(read_packages(ROOT / "ml_platform/pixi.lock", "", "")[PLACE].values())


def page(packages: Iterable[Package], before: Iterable[Package] | None = None, **changed: object) -> dict[str, Any]:
    """A page as the script that draws it is given it."""
    spec = load_spec(ROOT, "ml_platform")
    found = list(packages)
    listed = describe_packages(found)
    sides: list[Packages] = [{(each.kind, each.name): each for each in side} for side in (before or (), found)]
    made = Page(
        image="small",
        description="A small image",
        facts={"Environment": "default"},
        commands=commands("small", spec, "ghcr.io/lab/small:2026.2.0"),
        dockerfile=False,
        packages=listed,
        layers=describe_layers(listed),
        probes=PROBES,
        changes=None if before is None else describe_changes("small", "v1", PLACE, *sides),
        repositories=REPOSITORIES,
    )
    return made.model_copy(update=changed).model_dump()
