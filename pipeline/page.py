"""Content of the page about an image, which `pipeline/scripts/report.py` draws in a container."""

import re
import shlex
from collections.abc import Iterable, Sequence
from typing import Final

from pydantic import BaseModel, ConfigDict

from pipeline.build.layer_plan import Limits, assign
from pipeline.config.image_toml import ImageSpec
from pipeline.locks.diff import TargetDiff, compare, summarize, topic
from pipeline.locks.lockfile import LockTarget, Package, Packages
from pipeline.registry.tags import USUAL_TAG
from pipeline.scripts.messages import SIF
from pipeline.smoke.results import Results

#: Number of tags that the page shows of one repository.
SHOWN: Final = 10


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class PagePackage(_Frozen):
    """One package of the image's environment."""

    name: str
    kind: str
    version: str
    build: str
    license: str
    """Empty if the lock has none."""
    size: int | None
    """Bytes to download; None if the lock has no size."""
    layer: str
    """The layer that has its files; empty if its size is unknown, from which the layer is computed."""
    topic: str
    """The topic that colours it: CUDA, Python, ROOT, TensorFlow, or none of these."""


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
    sif: str = ""
    """The digest of the SIF beside it; empty if it has none."""


class Repository(_Frozen):
    """Tags of the image in one repository, or the reason why they are unknown."""

    name: str
    tags: tuple[Tag, ...] = ()
    more: int = 0
    """Number of further tags."""
    failure: str = ""


class Changes(_Frozen):
    """Changes since a previous lock."""

    previous: str
    summary: str
    """All changes in one line; empty if nothing changed."""
    target: TargetDiff | None
    layers: int
    """Number of layers to pull for an update from the image of the previous lock."""
    pull: int
    """Bytes of the packages in these layers."""


class Page(_Frozen):
    """Content of the page about an image."""

    image: str
    description: str
    facts: dict[str, str]
    commands: tuple[Command, ...]
    dockerfile: bool
    """Whether the image is built from a Dockerfile, and has no lock."""
    packages: tuple[PagePackage, ...]
    layers: tuple[PageLayer, ...]
    probes: Results | None
    """None if no probe was run."""
    changes: Changes | None
    """None if no previous lock was named."""
    repositories: tuple[Repository, ...]


def layers_of(packages: Iterable[Package]) -> dict[tuple[str, str], str]:
    """Return the layer of each package, by kind and name; packages without a size in the lock are left out."""
    named = {_name_in_layers(package): package for package in packages if package.size is not None}
    layers = assign({name: package.size or 0 for name, package in named.items()}, Limits().layers)
    return {(package.kind, package.name): layers[name] for name, package in named.items()}


def _name_in_layers(package: Package) -> str:
    """Return the name of a package in the layer plan, which names a PyPI package after its metadata folder."""
    return f"pypi-{package.name.replace('-', '_')}" if package.kind == "pypi" else package.name


def describe_packages(packages: Iterable[Package]) -> tuple[PagePackage, ...]:
    """Return the packages as the page lists them, the largest first and without virtual packages."""
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
    """Return the layers of the packages, in the image's order."""
    members: dict[str, list[PagePackage]] = {}
    for package in packages:
        if package.layer:
            members.setdefault(package.layer, []).append(package)
    return tuple(
        PageLayer(name=name, packages=len(inside), size=sum(package.size or 0 for package in inside))
        for name, inside in sorted(members.items())
    )


def describe_changes(image: str, previous: str, target: LockTarget, before: Packages, after: Packages) -> Changes:
    """Return the changes of one environment on one platform, and the size of the layers to pull."""
    targets = compare(image, previous, {target: before}, {target: after}).targets
    pulled = _changed_layers(before, after)
    return Changes(
        previous=previous,
        summary=summarize(targets[0]) if targets else "",
        target=targets[0] if targets else None,
        layers=len(pulled),
        pull=sum(pulled.values()),
    )


def _changed_layers(before: Packages, after: Packages) -> dict[str, int]:
    """Return the bytes of each changed layer: a layer is pulled whole, whatever changed in it."""
    old, new = _contents(before), _contents(after)
    return {
        layer: sum(after[key].size or 0 for key in content)
        for layer, content in new.items()
        if content != old.get(layer)
    }


def _contents(packages: Packages) -> dict[str, dict[tuple[str, str], str]]:
    """Return the packages of each layer, and the hash or URL that identifies each."""
    contents: dict[str, dict[tuple[str, str], str]] = {}
    for key, layer in layers_of(packages.values()).items():
        package = packages[key]
        contents.setdefault(layer, {})[key] = package.sha256 or package.md5 or package.url
    return contents


def describe_facts(spec: ImageSpec, base: str, platform: str, commit: str) -> dict[str, str]:
    """Return the facts about an image's build, as far as they are known."""
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


def commands(image: str, spec: ImageSpec, reference: str, sif: str = "") -> tuple[Command, ...]:
    """Return the commands that start an image: a shell in each runtime, and the servers of its probes.

    Args:
        image: the image's name.
        spec: its image.toml.
        reference: the published image with its tag.
        sif: the published SIF with its tag; empty if there is none.
    """
    gpu = spec.cuda is not None
    pod = re.sub(r"[^a-z0-9]+", "-", image.lower()).strip("-") or "image"
    merged = f'{{"spec":{{"containers":[{{"name":"{pod}","resources":{{"limits":{{"nvidia.com/gpu":"1"}}}}}}]}}}}'
    limits = ["--override-type=strategic", "--overrides", merged] if gpu else []
    lines = {
        "Docker": ["docker", "run", "--rm", "-it", *(["--gpus", "all"] if gpu else []), reference, "bash"],
        "Kubernetes": [
            *("kubectl", "run", pod, "--rm", "-it", "--restart=Never", f"--image={reference}"), *limits, "--", "bash",
        ],
        "Apptainer": ["apptainer", "exec", *(["--nv"] if gpu else []), f"docker://{reference}", "bash"],
    }  # fmt: skip
    if sif:
        lines["Apptainer, as a file"] = ["apptainer", "pull", f"{image}.sif", f"oras://{sif}"]
    for server in spec.probes.servers:
        port = f"{server.port}:{server.port}"
        lines[f"{server.title} (Docker)"] = ["docker", "run", "--rm", "-it", "-p", port, reference, *server.command]
    return tuple(Command(title=title, text=shlex.join(words)) for title, words in lines.items())


def reference_of(repositories: Sequence[Repository]) -> str:
    """Return the image for the commands: the first that a registry listed, or else `latest` of the first repository."""
    for repository in repositories:
        if repository.tags:
            return f"{repository.name}:{repository.tags[0].name}"
    return f"{repositories[0].name}:{USUAL_TAG}"


def sif_of(repositories: Sequence[Repository], spec: ImageSpec) -> str:
    """Return the SIF for the commands: the first that a registry listed; empty if there is none.

    If no registry has answered, it is `latest-sif` of the first repository where the image has a SIF.
    """
    listed = [f"{each.name}:{tag.name}{SIF}" for each in repositories for tag in each.tags if tag.sif]
    if listed or not spec.sif or not all(repository.failure for repository in repositories):
        return listed[0] if listed else ""
    return f"{repositories[0].name}:{USUAL_TAG}{SIF}"
