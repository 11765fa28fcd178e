"""What the page about an image says: gathered here, and drawn in a container by `pipeline/scripts/report.py`."""

import re
import shlex
from collections.abc import Iterable, Sequence
from typing import Final

from packaging.version import InvalidVersion, Version
from pydantic import BaseModel, ConfigDict

from pipeline.build.layer_plan import Limits, assign
from pipeline.config.image_toml import ImageSpec
from pipeline.locks.diff import TargetDiff, compare, summarize, topic
from pipeline.locks.lockfile import LockTarget, Package, Packages
from pipeline.smoke.results import Results

#: Tags of one repository that the page has room for.
SHOWN: Final = 10
#: What an image is called where no registry says which tags there are.
USUAL_TAG: Final = "latest"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class PagePackage(_Frozen):
    """One package of the image's environment."""

    name: str
    kind: str
    version: str
    build: str
    license: str
    """Empty where the lock does not say."""
    size: int | None
    """Bytes to download; None where the lock does not say."""
    layer: str
    """The layer that has its files; empty where that cannot be told without its size."""
    topic: str
    """What it is coloured as: CUDA, Python, ROOT, TensorFlow, or nothing of these."""


class PageLayer(_Frozen):
    """One layer of the environment."""

    name: str
    packages: int
    size: int


class Command(_Frozen):
    """A command to copy."""

    title: str
    text: str


class Tag(_Frozen):
    """A tag of a repository."""

    name: str
    digest: str


class Repository(_Frozen):
    """What a registry says about the image, or why it says nothing."""

    name: str
    tags: tuple[Tag, ...] = ()
    more: int = 0
    """How many tags it has beside those."""
    failure: str = ""


class Changes(_Frozen):
    """What changed since a previous lock."""

    previous: str
    summary: str
    """One line about all of it; empty where nothing changed."""
    place: TargetDiff | None
    layers: int
    """How many layers have to be pulled by somebody with the image of the previous lock."""
    pull: int
    """Bytes of these layers' packages."""


class Page(_Frozen):
    """All that the page about an image says."""

    image: str
    description: str
    facts: dict[str, str]
    commands: tuple[Command, ...]
    dockerfile: bool
    """Whether the image is built from a Dockerfile, and so has no lock."""
    packages: tuple[PagePackage, ...]
    layers: tuple[PageLayer, ...]
    probes: Results | None
    """None where no probe was run."""
    changes: Changes | None
    """None where no previous lock was named."""
    repositories: tuple[Repository, ...]


def layers_of(packages: Iterable[Package]) -> dict[tuple[str, str], str]:
    """The layer of each package, by kind and name; those whose size is not in the lock are left out."""
    named = {_name_in_layers(package): package for package in packages if package.size is not None}
    places = assign({name: package.size or 0 for name, package in named.items()}, Limits().layers)
    return {(package.kind, package.name): places[name] for name, package in named.items()}


def _name_in_layers(package: Package) -> str:
    """What the division into layers calls a package: after its folder of metadata, where it is from PyPI."""
    return f"pypi-{package.name.replace('-', '_')}" if package.kind == "pypi" else package.name


def describe_packages(packages: Iterable[Package]) -> tuple[PagePackage, ...]:
    """The packages as the page lists them, the largest first; what the machine is taken to have is none of them."""
    real = [package for package in packages if package.kind != "virtual"]
    layers = layers_of(real)
    return tuple(
        PagePackage(
            name=package.name,
            kind=package.kind,
            version=package.version,
            build=package.build,
            license=package.license or "",
            size=package.size,
            layer=layers.get((package.kind, package.name), ""),
            topic=topic(package.name) or "",
        )
        for package in sorted(real, key=lambda package: (-(package.size or 0), package.name, package.kind))
    )


def describe_layers(packages: Iterable[PagePackage]) -> tuple[PageLayer, ...]:
    """The layers that the packages make, in the image's order."""
    members: dict[str, list[PagePackage]] = {}
    for package in packages:
        if package.layer:
            members.setdefault(package.layer, []).append(package)
    return tuple(
        PageLayer(name=name, packages=len(found), size=sum(package.size or 0 for package in found))
        for name, found in sorted(members.items())
    )


def describe_changes(image: str, previous: str, place: LockTarget, before: Packages, after: Packages) -> Changes:
    """What changed for one environment on one platform, and what it costs to pull."""
    places = compare(image, previous, {place: before}, {place: after}).places
    moved = _changed_layers(before, after)
    return Changes(
        previous=previous,
        summary=summarize(places[0]) if places else "",
        place=places[0] if places else None,
        layers=len(moved),
        pull=sum(moved.values()),
    )


def _changed_layers(before: Packages, after: Packages) -> dict[str, int]:
    """Bytes of each layer that is another one than before: a layer is pulled whole, whatever changed in it."""
    old, new = _contents(before), _contents(after)
    return {
        layer: sum(after[key].size or 0 for key in found) for layer, found in new.items() if found != old.get(layer)
    }


def _contents(packages: Packages) -> dict[str, dict[tuple[str, str], str]]:
    """What tells each layer's packages apart from others of the same name."""
    contents: dict[str, dict[tuple[str, str], str]] = {}
    for key, layer in layers_of(packages.values()).items():
        package = packages[key]
        contents.setdefault(layer, {})[key] = package.sha256 or package.md5 or package.url
    return contents


def describe_facts(spec: ImageSpec, base: str, platform: str, commit: str) -> dict[str, str]:
    """What an image is made from, as far as it is known."""
    facts = {
        "Environment": "" if spec.dockerfile else spec.environment,
        "Dockerfile": spec.dockerfile or "",
        "Base image": "" if spec.dockerfile else spec.runtime_base or spec.base or base,
        "CUDA": spec.cuda or "",
        "Platform": platform,
        "Other platforms": ", ".join(other for other in spec.platforms if other != platform),
        "Commit": commit,
    }
    return {title: text for title, text in facts.items() if text}


def commands(image: str, spec: ImageSpec, reference: str) -> tuple[Command, ...]:
    """How to start an image: a shell in each runtime, and the servers that its probes start.

    Args:
        image: its name.
        spec: its image.toml.
        reference: the published image with its tag.
    """
    gpu = spec.cuda is not None
    pod = re.sub(r"[^a-z0-9]+", "-", image.lower()).strip("-") or "image"
    merged = f'{{"spec":{{"containers":[{{"name":"{pod}","resources":{{"limits":{{"nvidia.com/gpu":"1"}}}}}}]}}}}'
    limits = ["--override-type=strategic", "--overrides", merged] if gpu else []
    found = {
        "Docker": ["docker", "run", "--rm", "-it", *(["--gpus", "all"] if gpu else []), reference, "bash"],
        "Kubernetes": [
            *("kubectl", "run", pod, "--rm", "-it", "--restart=Never", f"--image={reference}"), *limits, "--", "bash",
        ],
        "Apptainer": ["apptainer", "exec", *(["--nv"] if gpu else []), f"docker://{reference}", "bash"],
    }  # fmt: skip
    for server in spec.probes.servers:
        port = f"{server.port}:{server.port}"
        found[f"{server.title} (Docker)"] = ["docker", "run", "--rm", "-it", "-p", port, reference, *server.command]
    return tuple(Command(title=title, text=shlex.join(words)) for title, words in found.items())


def newest(tags: Iterable[str]) -> list[str]:
    """Tags of a repository, those that a person looks for first: words, then versions from the newest one, then ids."""

    def order(tag: str) -> tuple[bool, bool, Version, str]:
        version = _version(tag)
        return tag == USUAL_TAG, version is None and not tag.startswith("sha-"), version or Version("0"), tag

    return sorted(tags, key=order, reverse=True)


def _version(tag: str) -> Version | None:
    try:
        return Version(tag)
    except InvalidVersion:
        return None


def reference_of(repositories: Sequence[Repository]) -> str:
    """The image to name in commands: the first one that a registry is known to have, or else the usual name."""
    for repository in repositories:
        if repository.tags:
            return f"{repository.name}:{repository.tags[0].name}"
    return f"{repositories[0].name}:{USUAL_TAG}"
