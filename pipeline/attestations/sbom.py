"""SBOM of an image: its locked packages, compared with the installed ones, and the packages of its base image."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

import dagger
from dagger import dag
from packaging.utils import canonicalize_name
from pydantic import TypeAdapter, ValidationError

from pipeline.build.pixi_image import environment_path
from pipeline.build.tool_container import last_line, with_packages, with_scripts
from pipeline.checkout import ImageSource
from pipeline.config.image_toml import Platform
from pipeline.config.validation import listed
from pipeline.errors import Code, PipelineError
from pipeline.locks.image_lock import LOCK
from pipeline.locks.lockfile import LOCAL, Package
from pipeline.output.formats import SbomFormat
from pipeline.scripts.messages import Component, Contents, Sbom

#: Endings of the file names, after the image's name.
ENDINGS: Final[Mapping[SbomFormat, str]] = {SbomFormat.CYCLONEDX: ".cdx.json", SbomFormat.SPDX: ".spdx.json"}
#: The time of a document without a commit.
NEVER: Final = datetime.fromtimestamp(0, UTC)


async def describe(source: ImageSource, platform: Platform, container: dagger.Container) -> Sbom:
    """Return the components of a built image, for the documents of all formats.

    Raises:
        PipelineError: the lock cannot be used, or the image does not hold what was locked.
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
    """List the packages of an image, from another container, because the image may have no Python.

    Raises:
        PipelineError: the image's package metadata cannot be read.
    """
    listing = (
        dag.container()
        .from_(base)
        .with_(with_scripts("messages.py", "folders.py", "contents.py"))
        .with_mounted_directory("/image", container.rootfs())
        .with_exec(["python", "-m", "pipeline.scripts.contents", "/image", prefix])
    )
    try:
        return TypeAdapter(Contents).validate_json(await listing.stdout())
    except (dagger.ExecError, ValidationError) as error:
        reason = last_line(error) if isinstance(error, dagger.ExecError) else str(error)
        raise PipelineError(
            Code.SBOM_FAILED, f"{image}: the packages in the image cannot be listed: {reason}; build it again"
        ) from error


async def write(sbom: Sbom, form: SbomFormat, base: str) -> dagger.File:
    """Write an SBOM as a document.

    Raises:
        PipelineError: the document does not fit its format.
    """
    output = f"/{sbom.name}{ENDINGS[form]}"
    writing = (
        dag.container()
        .from_(base)
        .with_(with_packages("sbom.lock"))
        .with_(with_scripts("messages.py", "sbom.py"))
        .with_mounted_file("/sbom.json", dag.file("sbom.json", json.dumps(asdict(sbom))))
        .with_exec(["python", "-m", "pipeline.scripts.sbom", form.value, "/sbom.json", output])
    )
    try:
        return await writing.file(output).sync()
    except dagger.ExecError as error:
        raise PipelineError(
            Code.SBOM_FAILED,
            f"{sbom.name}: no document of {form.value} could be made: {last_line(error)}; correct the package's entry "
            "in the lock, or use the other format",
        ) from error


def differences(locked: Iterable[Package], contents: Contents) -> list[str]:
    """List the differences between the locked and the installed packages, a short clause each."""
    problems = []
    for kind, installed in (("conda", contents.conda), ("pypi", contents.pypi)):
        expected = {package.name: package for package in locked if package.kind == kind}
        actual = {_name(kind, package.name): package for package in installed}
        for name in sorted({*expected, *actual}):
            ours, theirs = expected.get(name), actual.get(name)
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
    """Return all components, sorted; a licence that the lock lacks is the one of the installed package."""
    there = {
        (kind, _name(kind, package.name)): package
        for kind, installed in (("conda", contents.conda), ("pypi", contents.pypi))
        for package in installed
    }
    found = []
    for package in locked:
        if component := of_lock(package):
            installed = there.get((package.kind, package.name))
            found.append(
                replace(
                    component,
                    license=component.license or (installed.license if installed else None),
                    # A package with a dynamic version is locked without one.
                    version=component.version or (installed.version if installed else ""),
                )
            )
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
                # The source package that it was built from, if that has another name.
                "upstream": package.source if package.source != package.name else "",
            },
        )
        for package in contents.debian
    ]
    return sorted(found, key=lambda component: (component.type, component.name, component.version))


def of_lock(package: Package) -> Component | None:
    """Return the component of a locked package; None for a virtual package."""
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
