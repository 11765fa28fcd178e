"""An image's bill of materials: what was locked for it, held against what is in it, and the packages of its base."""

import importlib.resources
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

import dagger
from dagger import dag
from packaging.utils import canonicalize_name
from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.build.pixi_image import environment_path
from pipeline.build.tool_container import with_packages, with_scripts
from pipeline.checkout import ImageSource
from pipeline.config.image_toml import Platform
from pipeline.config.validation import listed
from pipeline.errors import Code, PipelineError
from pipeline.locks.image_lock import LOCK
from pipeline.locks.lockfile import LOCAL, Package
from pipeline.output.formats import SbomFormat

#: What the document of an image is called, after the image's name.
ENDINGS: Final[Mapping[SbomFormat, str]] = {SbomFormat.CYCLONEDX: ".cdx.json", SbomFormat.SPDX: ".spdx.json"}
#: The time of a document without a commit.
NEVER: Final = datetime.fromtimestamp(0, UTC)


class Installed(BaseModel):
    """One package of an environment, as it is written down in the image."""

    model_config = ConfigDict(frozen=True)

    name: str
    version: str
    build: str
    url: str
    sha256: str | None
    md5: str | None
    license: str | None


class Debian(BaseModel):
    """One package of the base image's distribution."""

    model_config = ConfigDict(frozen=True)

    name: str
    version: str
    architecture: str
    source: str


class Contents(BaseModel):
    """What the script that looks into an image prints."""

    model_config = ConfigDict(frozen=True)

    conda: tuple[Installed, ...]
    pypi: tuple[Installed, ...]
    debian: tuple[Debian, ...]
    distribution: str


class Component(BaseModel):
    """One line of the bill: the parts of a package URL, and where the package is from."""

    model_config = ConfigDict(frozen=True)

    type: str
    namespace: str = ""
    name: str
    version: str
    qualifiers: dict[str, str]
    url: str = ""
    sha256: str | None = None
    md5: str | None = None
    license: str | None = None


class Sbom(BaseModel):
    """What the script that writes documents is given."""

    name: str
    version: str
    time: int
    components: list[Component]


async def describe(source: ImageSource, platform: Platform, container: dagger.Container) -> Sbom:
    """The lines of an image that is built, for the documents of all formats.

    Raises:
        PipelineError: its lock cannot be used, or something else is in it than was locked.
    """
    image, spec, commit = source.name, source.spec, source.commit
    locked: list[Package] = []
    if spec.dockerfile is None:
        locked = list((await source.locked(platform)).packages.values())
    contents = await look(image, container, environment_path(spec.environment), source.settings.fetch_base)
    if spec.dockerfile is None and (problems := differences(locked, contents)):
        raise PipelineError(
            Code.SBOM_MISMATCH,
            f"{image}: what is in the image is not what {image}/{LOCK} holds: {listed(problems)}; leave what is in "
            "the environment to the lock, and build the image again",
        )
    return Sbom(
        name=image,
        version=commit.sha if commit else "",
        time=int((commit.time if commit else NEVER).timestamp()),
        components=components(locked, contents),
    )


async def look(image: str, container: dagger.Container, prefix: str, base: str) -> Contents:
    """The packages that are in an image, looked for from outside: the image may have no Python.

    Raises:
        PipelineError: what is written down in it cannot be read.
    """
    looking = (
        dag.container()
        .from_(base)
        .with_(with_scripts("folders.py", "contents.py"))
        .with_mounted_directory("/image", container.rootfs())
        .with_exec(["python", "-m", "pipeline.scripts.contents", "/image", prefix])
    )
    try:
        return Contents.model_validate_json(await looking.stdout())
    except (dagger.ExecError, ValidationError) as error:
        reason = error.stderr.strip().splitlines()[-1] if isinstance(error, dagger.ExecError) else str(error)
        raise PipelineError(
            Code.SBOM_FAILED, f"{image}: the packages in the image cannot be listed: {reason}; build it again"
        ) from error


async def write(bill: Sbom, form: SbomFormat, base: str) -> dagger.File:
    """The document of a bill.

    Raises:
        PipelineError: it does not fit its format.
    """
    output = f"/{bill.name}{ENDINGS[form]}"
    writing = (
        dag.container()
        .from_(base)
        .with_(with_packages("sbom.lock"))
        .with_mounted_file("/sbom.py", _script("sbom.py"))
        .with_mounted_file("/bill.json", dag.file("bill.json", bill.model_dump_json()))
        .with_exec(["python", "/sbom.py", form.value, "/bill.json", output])
    )
    try:
        return await writing.file(output).sync()
    except dagger.ExecError as error:
        reason = f"{error.stderr}\n{error.stdout}".strip().splitlines()[-1:]
        raise PipelineError(
            Code.SBOM_FAILED,
            f"{bill.name}: no document of {form.value} could be made: {''.join(reason)}; correct what the lock says of "
            "the package, or use the other format",
        ) from error


def differences(locked: Iterable[Package], contents: Contents) -> list[str]:
    """What was locked and is not in the image, or the other way round, a short clause each."""
    problems = []
    for kind, installed in (("conda", contents.conda), ("pypi", contents.pypi)):
        wanted = {package.name: package for package in locked if package.kind == kind}
        found = {_name(kind, package.name): package for package in installed}
        for name in sorted({*wanted, *found}):
            ours, theirs = wanted.get(name), found.get(name)
            if theirs is None:
                problems.append(f"{name} is locked, and not there")
            elif ours is None:
                problems.append(f"{name} {theirs.version} is there, and not locked")
            elif (ours.version or theirs.version, ours.build) != (theirs.version, theirs.build):
                problems.append(
                    f"{name} is locked at {ours.version} {ours.build}".rstrip()
                    + f", and there at {theirs.version} {theirs.build}".rstrip()
                )
            elif ours.sha256 and theirs.sha256 and ours.sha256 != theirs.sha256:
                problems.append(f"{name} has another sha256 than is locked")
    return problems


def components(locked: Iterable[Package], contents: Contents) -> list[Component]:
    """All lines of a bill, sorted: what was locked, with the licence that is in the image where the lock has none."""
    there = {
        (kind, _name(kind, package.name)): package
        for kind, installed in (("conda", contents.conda), ("pypi", contents.pypi))
        for package in installed
    }
    found = []
    for package in locked:
        if component := of_lock(package):
            installed = there.get((package.kind, package.name))
            known = {
                "license": component.license or (installed.license if installed else None),
                # A package whose version its own project says is locked without one.
                "version": component.version or (installed.version if installed else ""),
            }
            found.append(component.model_copy(update=known))
    distribution = contents.distribution.partition("-")[0]
    found += [
        Component(
            type="deb",
            namespace=distribution,
            name=package.name,
            version=package.version,
            qualifiers={
                "arch": package.architecture,
                "distro": contents.distribution,
                # The source package that it was built from, where that has another name.
                "upstream": package.source if package.source != package.name else "",
            },
        )
        for package in contents.debian
    ]
    return sorted(found, key=lambda line: (line.type, line.name, line.version))


def of_lock(package: Package) -> Component | None:
    """The line of a locked package; there is none for what the machine is taken to have."""
    if package.kind == "virtual":
        return None
    qualifiers = {}
    if package.kind == "conda":
        channel, subdir, file = package.origin
        qualifiers = {
            "build": package.build,
            "channel": urlsplit(channel).path.strip("/"),
            "subdir": subdir,
            "type": "conda" if file.endswith(".conda") else "tar.bz2" if file.endswith(".tar.bz2") else "",
        }
    elif package.url.startswith("git+"):
        qualifiers = {"vcs_url": package.url}
    return Component(
        type=package.kind,
        name=package.name,
        version=package.version,
        qualifiers=qualifiers,
        url="" if LOCAL.match(package.url) else package.url,
        sha256=package.sha256,
        md5=package.md5,
        license=package.license,
    )


def _name(kind: str, name: str) -> str:
    return canonicalize_name(name) if kind == "pypi" else name.lower()


def _script(name: str) -> dagger.File:
    return dag.file(name, importlib.resources.files("pipeline.scripts").joinpath(name).read_text(encoding="utf-8"))
