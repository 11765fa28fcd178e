"""The fetch stage: download the locked packages once into a cache volume and verify their hashes.

pixi could download them as well, but pixi 0.15 does not verify hashes, and every version stops at the first package
that fails. The volume holds the archives, which take a third of the unpacked size. Unpacked packages in it would gain
nothing: pixi cannot link files out of a volume, so each build would write them a second time.

Code from elsewhere must not write to a volume that other builds read: an installation that runs some gets copies of the
archives, and no volume.
"""

import json
from collections.abc import Collection, Iterable
from dataclasses import asdict
from typing import Final

import dagger
import rattler
from dagger import dag
from pydantic import TypeAdapter, ValidationError

from pipeline.build.pixi_errors import http_status
from pipeline.build.tool_container import with_packages, with_scripts
from pipeline.config.validation import listed
from pipeline.credentials.channel_auth import explain_refusal, without_secrets
from pipeline.credentials.logins import Logins
from pipeline.errors import Code, LockError, PipelineError
from pipeline.locks.image_lock import relock_remedy
from pipeline.scripts.messages import DownloadFailure, DownloadReport, Package

#: Mount point of the cache volume with fetched archives, or of copies of them.
ARCHIVES: Final = "/.archives"
#: Mount point of the cache volume with pixi's downloads of PyPI packages.
WHEELS: Final = "/.wheels"
#: File that the fetch stage writes at its end. Each step that needs the packages mounts it, and so waits for them.
_DONE: Final = "/fetched"
#: Folder for copies of the archives in the fetch stage. The file is in it, because Dagger 0.19 stops with a panic where
#: a step mounts a file and a folder of the same other step.
_COPIES: Final = "/copies"


def packages(image: str, records: Iterable[rattler.RepoDataRecord]) -> list[Package]:
    """Return the packages to fetch for the records of a lock, in their order.

    Raises:
        LockError: a package was locked without a hash.
    """
    result = []
    for record in records:
        value = record.sha256 or record.md5
        if value is None:
            raise LockError(
                Code.LOCK_INVALID, f"{image}/pixi.lock has no hash for {record.file_name}; {relock_remedy(image)}"
            )
        result.append(
            Package(
                name=f"{record.name.normalized}-{record.version}-{record.build}",
                url=record.url,
                kind="sha256" if record.sha256 else "md5",
                hash=value.hex(),
                size=record.size or 0,
            )
        )
    return result


def with_fetched(
    container: dagger.Container, fetching: dagger.Container, subdir: str, *, copied: bool
) -> dagger.Container:
    """Mount fetched packages for an installation, and a cache for those of PyPI.

    Args:
        container: the container that installs packages.
        fetching: the fetch stage.
        subdir: conda's name of the platform.
        copied: mount copies and no volume, because the installation runs code from elsewhere.
    """
    if copied:
        return container.with_mounted_directory(ARCHIVES, fetching.directory(_COPIES))
    container = _with_archives(container, subdir).with_mounted_cache(WHEELS, dag.cache_volume(f"pypi-wheels-{subdir}"))
    return container.with_mounted_file(_DONE, fetching.file(_DONE))


def fetched_list(*, copied: bool) -> str:
    """Return the path of the list of fetched packages in a container of :func:`with_fetched`."""
    return f"{ARCHIVES}{_DONE}" if copied else _DONE


def _with_archives(container: dagger.Container, subdir: str) -> dagger.Container:
    """Mount the volume that all images of a platform share; packages of two platforms are not used together."""
    return container.with_mounted_cache(ARCHIVES, dag.cache_volume(f"conda-archives-{subdir}"))


def fetcher(base: str) -> dagger.Container:
    """Return a container with py-rattler, which fetches and unpacks packages.

    Args:
        base: an image with Python and pip.
    """
    return dag.container().from_(base).with_(with_packages("fetch.lock"))


def fetch_stage(  # noqa: PLR0913  # the inputs of the step
    base: str, packages: list[Package], subdir: str, logins: Logins, *, copied: bool = False, again: str = ""
) -> dagger.Container:
    """Return a container that fetches packages into the cache, and then lists them in a file.

    Args:
        base: an image with Python and pip.
        packages: the packages; the step runs again when one of them changes.
        subdir: conda's name of the platform that they are for.
        logins: credentials for channels.
        copied: copy the packages for an installation that must not write to the cache.
        again: a text that is new for each repetition, so that the engine does not answer from its cache.
    """
    outputs = [f"{_COPIES}{_DONE}", _COPIES] if copied else [_DONE]
    manifest = json.dumps([asdict(package) for package in packages])
    return (
        fetcher(base)
        .with_(lambda container: _with_archives(container, subdir))
        .with_(with_scripts("messages.py", "fetch.py"))
        .with_mounted_file("/packages.json", dag.file("packages.json", manifest))
        .with_(logins.mounted)
        .with_env_variable("FETCHED_AGAIN", again)
        .with_exec(["python", "-m", "pipeline.scripts.fetch", "/packages.json", ARCHIVES, *outputs])
    )


def explain_fetch(image: str, stdout: str, stderr: str, known: Collection[str] = ()) -> PipelineError:
    """Return the error to raise for a failed fetch stage, from its output.

    Args:
        image: the image's name.
        stdout: its standard output: the report.
        stderr: its standard error.
        known: hosts of channels that the call has credentials for.
    """
    try:
        report = TypeAdapter(DownloadReport).validate_json(stdout)
    except ValidationError:
        reason = next(reversed(f"{stdout}\n{stderr}".strip().splitlines()), "it printed nothing")
        return PipelineError(
            Code.STEP_FAILED,
            f"{image}: the step that fetches packages did not run: {reason}; run the same command again",
        )
    total = report.fetched + report.present + len(report.failures)
    named = listed(
        [f"{failure.name} from {failure.url}: {without_secrets(failure.reason)}" for failure in report.failures]
    )
    return PipelineError(
        Code.DOWNLOAD_FAILED,
        f"{image}: {len(report.failures)} of {total} packages of {image}/pixi.lock could not be fetched: {named}; "
        f"{_remedy(image, report.failures, known)}",
    )


def _remedy(image: str, failures: list[DownloadFailure], known: Collection[str]) -> str:
    if any("is locked" in failure.reason for failure in failures):
        return (
            "the channel has another package under the locked name: if it was replaced there, "
            f"{relock_remedy(image)}; otherwise do not trust the channel"
        )
    refusals = (explain_refusal(failure.reason, known) for failure in failures)
    if refusal := next(filter(None, refusals), None):
        return refusal
    if any(http_status(failure.reason) == 404 for failure in failures):  # noqa: PLR2004  # HTTP's own number
        return f"the channel no longer has it: {relock_remedy(image)}"
    return "run the same command again when the channel can be reached: what was fetched is kept"
