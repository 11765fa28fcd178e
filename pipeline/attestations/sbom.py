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
from pipeline.build.tool_container import with_packages, with_scripts
from pipeline.checkout import ImageSource
from pipeline.config.image_toml import Platform
from pipeline.config.validation import listed
from pipeline.engine_errors import reason_of
from pipeline.errors import Code, PipelineError
from pipeline.locks.image_lock import LOCK
from pipeline.locks.lockfile import LOCAL, Package
from pipeline.output.formats import SbomFormat
from pipeline.scripts.messages import RPM_QUERY, Component, Contents, Installed, Sbom

#: Endings of the file names, after the image's name.
ENDINGS: Final[Mapping[SbomFormat, str]] = {SbomFormat.CYCLONEDX: ".cdx.json", SbomFormat.SPDX: ".spdx.json"}
#: Path of rpm's output.
RPMS: Final = "/rpm-packages"
#: The time of a document without a commit.
NEVER: Final = datetime.fromtimestamp(0, UTC)


async def describe(source: ImageSource, platform: Platform, container: dagger.Container) -> Sbom:
    """Return the components of a built image, for the documents of all formats.

    Raises:
        PipelineError: the lock cannot be used, the image does not hold what was locked, or its packages cannot be
            listed.
    """
    image, spec, commit, base = source.name, source.spec, source.commit, source.settings.fetch_base
    locked: list[Package] = []
    prefix = ""
    if spec.dockerfile is None:
        locked = list((await source.locked(platform)).packages.values())
        prefix = environment_path(spec.environment)
    contents = await look(image, container, prefix, base)
    if contents.rpm:
        contents = await look(image, container, prefix, base, await ask_rpm(image, container, platform, contents.rpm))
    if problem := missing(contents):
        raise PipelineError(Code.SBOM_FAILED, f"{image}: {problem}")
    if problems := differences(locked, contents):
        raise PipelineError(
            Code.SBOM_MISMATCH,
            f"{image}: what is in the image is not what {image}/{LOCK} holds: {listed(problems)}; leave what is in "
            "the environment to the lock, and build the image again",
        )
    return Sbom(
        name=image,
        version=commit.revision if commit else "",
        time=int((commit.time if commit else NEVER).timestamp()),
        components=components(locked, contents),
    )


async def look(
    image: str, container: dagger.Container, prefix: str, base: str, rpms: dagger.File | None = None
) -> Contents:
    """List the packages of an image, from another container, because the image may have no Python.

    Args:
        image: the image's name.
        container: the built image.
        prefix: path of the locked environment; empty for an image without one.
        base: image with Python.
        rpms: output of the image's own rpm.

    Raises:
        PipelineError: the image's package metadata cannot be read.
    """
    listing = (
        dag.container()
        .from_(base)
        .with_(with_scripts("messages.py", "folders.py", "databases.py", "contents.py"))
        .with_mounted_directory("/image", container.rootfs())
    )
    if rpms:
        listing = listing.with_mounted_file(RPMS, rpms)
    command = ["python", "-m", "pipeline.scripts.contents", "/image", prefix, *([RPMS] if rpms else [])]
    listing = listing.with_exec(command)
    try:
        return TypeAdapter(Contents).validate_json(await listing.stdout())
    except (dagger.ExecError, ValidationError) as error:
        reason = reason_of(error) if isinstance(error, dagger.ExecError) else str(error)
        raise PipelineError(
            Code.SBOM_FAILED, f"{image}: the packages in the image cannot be listed: {reason}; build it again"
        ) from error


async def ask_rpm(image: str, container: dagger.Container, platform: Platform, database: str) -> dagger.File:
    """List the packages in an image's RPM database by the image's own rpm, which knows its format.

    Raises:
        PipelineError: the image has no rpm, or it cannot read the database.
    """
    # Without the image's configuration: its user may not read the database, its variables name other libraries.
    asking = dag.container(platform=dagger.Platform(platform)).with_rootfs(container.rootfs())
    command = ["/usr/bin/rpm", "--query", "--all", "--queryformat", RPM_QUERY]
    try:
        return await asking.with_exec(command, redirect_stdout=RPMS).file(RPMS).sync()
    except dagger.QueryError as error:
        raise PipelineError(
            Code.SBOM_FAILED,
            f"{image}: its RPM database {database} cannot be read: {reason_of(error)}; build it on a base with "
            "/usr/bin/rpm, such as almalinux:9, and leave rpm and its database there",
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
            f"{sbom.name}: no document of {form.value} could be made: {reason_of(error)}; correct the package's entry "
            "in the lock, or use the other format",
        ) from error


def missing(contents: Contents) -> str:
    """Return a clause about a distribution whose packages are not listed; empty if they are."""
    if contents.system:
        return ""
    found = f"its RPM database {contents.rpm} lists none" if contents.rpm else "it has no database of dpkg, apk or RPM"
    name = f" ({contents.distribution})" if contents.distribution else ""
    return (
        f"the packages of its distribution{name} cannot be listed: {found}; build it on a base that has one, such as "
        "debian:bookworm-slim, and leave it there"
    )


def differences(locked: Iterable[Package], contents: Contents) -> list[str]:
    """List the differences between the locked and the installed packages, a short clause each."""
    problems = []
    for kind in ("conda", "pypi"):
        expected = {package.name: package for package in locked if package.kind == kind}
        actual = {_name(kind, package.name): package for package in contents.environment if package.kind == kind}
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
    """Return all components, sorted and each once; a licence that the lock lacks is the installed package's."""
    there: dict[tuple[str, str], Installed] = {
        (package.kind, _name(package.kind, package.name)): package for package in contents.environment
    }
    found = []
    for package in locked:
        if component := of_package(package):
            installed = there.get((package.kind, package.name))
            found.append(
                replace(
                    component,
                    license=component.license or (installed.license if installed else None),
                    # A package with a dynamic version is locked without one.
                    version=component.version or (installed.version if installed else ""),
                )
            )
    elsewhere = (Package(**{**asdict(each), "name": _name(each.kind, each.name)}) for each in contents.elsewhere)
    found += [component for package in elsewhere if (component := of_package(package))]
    found += contents.system
    # Environments may have the same package; the locked one comes first, with all that is known of it.
    once: dict[tuple[object, ...], Component] = {}
    for component in found:
        identity = (
            component.type,
            component.name,
            component.version,
            *sorted(named for named in component.qualifiers.items() if named[1]),
        )
        once.setdefault(identity, component)
    return [once[key] for key in sorted(once)]


def of_package(package: Package) -> Component | None:
    """Return the component of a package of conda or PyPI; None for a virtual package."""
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
