"""The fetch stage: the locked packages, downloaded once into a cache volume and held against their hashes.

pixi would download them too, but not every version of it compares what it downloaded with the lock (0.15 does not),
and it stops at the first package that fails. The volume has packages as they are downloaded, a third of what they are
unpacked: pixi cannot link files out of a volume, so unpacked ones would be written twice in each build.
"""

import importlib.resources
import json
from collections.abc import Collection, Iterable
from typing import Final, Literal

import dagger
import rattler
from dagger import dag
from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.build.pixi_errors import http_status
from pipeline.build.tool_container import with_packages
from pipeline.config.validation import listed
from pipeline.credentials.channel_auth import explain_refusal, without_secrets
from pipeline.credentials.logins import Logins
from pipeline.errors import Code, LockError, PipelineError
from pipeline.locks.image_lock import relock_remedy

#: A cache volume, so no layer has it: fetched packages, and what pixi keeps while it solves.
PACKAGE_CACHE: Final = "/var/cache/pixi"
#: Where it has the fetched packages, as their channels have them.
ARCHIVES: Final = f"{PACKAGE_CACHE}/archives"
#: What the fetch stage writes at its end: mounted by what needs the packages, it makes that wait for them.
DONE: Final = "/fetched"


class Package(BaseModel):
    """One package to fetch."""

    model_config = ConfigDict(frozen=True)

    name: str
    """Its name in the package cache: name, version and build string."""

    url: str
    kind: Literal["sha256", "md5"]
    hash: str
    """The locked hash, in hexadecimal digits."""

    size: int
    """Bytes; 0 where the lock does not say."""


class Failure(BaseModel):
    """Why one package could not be fetched."""

    name: str
    url: str
    reason: str


class DownloadReport(BaseModel):
    """What the fetch script says at its end."""

    fetched: int
    bytes: int
    present: int
    failures: list[Failure]


def packages(image: str, records: Iterable[rattler.RepoDataRecord]) -> list[Package]:
    """What to fetch for the records of a lock, in their order.

    Raises:
        LockError: a package was locked without a hash.
    """
    found = []
    for record in records:
        value = record.sha256 or record.md5
        if value is None:
            raise LockError(
                Code.LOCK_INVALID, f"{image}/pixi.lock has no hash for {record.file_name}; {relock_remedy(image)}"
            )
        found.append(
            Package(
                name=f"{record.name.normalized}-{record.version}-{record.build}",
                url=record.url,
                kind="sha256" if record.sha256 else "md5",
                hash=value.hex(),
                size=record.size or 0,
            )
        )
    return found


def with_package_cache(container: dagger.Container, subdir: str) -> dagger.Container:
    """Mount the cache of packages, which all images of a platform share, where rattler and pixi look for it.

    Args:
        container: what fetches or installs them.
        subdir: what conda calls the platform: packages of two platforms can have one name.
    """
    return (
        container.with_mounted_cache(PACKAGE_CACHE, dag.cache_volume(f"pixi-packages-{subdir}"))
        .with_env_variable("PIXI_CACHE_DIR", PACKAGE_CACHE)
        .with_env_variable("RATTLER_CACHE_DIR", PACKAGE_CACHE)
    )


def fetcher(base: str) -> dagger.Container:
    """A container with py-rattler, which fetches and unpacks packages.

    Args:
        base: an image with Python and pip.
    """
    return dag.container().from_(base).with_(with_packages("fetch.lock"))


def fetch_stage(base: str, wanted: list[Package], subdir: str, logins: Logins) -> dagger.Container:
    """A container that has fetched the packages into the cache, and says so in the file ``DONE``.

    Args:
        base: an image with Python and pip.
        wanted: the packages; the step runs again when one of them changes.
        subdir: what conda calls the platform that they are for.
        logins: who logs in to channels.
    """
    script = importlib.resources.files("pipeline.scripts").joinpath("fetch.py").read_text(encoding="utf-8")
    listed = json.dumps([package.model_dump() for package in wanted])
    return (
        fetcher(base)
        .with_(lambda container: with_package_cache(container, subdir))
        .with_mounted_file("/fetch.py", dag.file("fetch.py", script))
        .with_mounted_file("/packages.json", dag.file("packages.json", listed))
        .with_(logins.mounted)
        .with_exec(["python", "/fetch.py", "/packages.json", ARCHIVES, DONE])
    )


def explain_fetch(image: str, stdout: str, stderr: str, known: Collection[str] = ()) -> PipelineError:
    """The error to raise when the fetch stage failed, from what it printed.

    Args:
        image: the image's name.
        stdout: what it printed, a report at its end.
        stderr: what it printed besides.
        known: hosts of channels that somebody logs in to.
    """
    try:
        report = DownloadReport.model_validate_json(stdout)
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


def _remedy(image: str, failures: list[Failure], known: Collection[str]) -> str:
    if any("is locked" in failure.reason for failure in failures):
        return (
            "the channel has another package under the locked name: if it was replaced there, "
            f"{relock_remedy(image)}; otherwise do not trust the channel"
        )
    refusals = (explain_refusal(failure.reason, known) for failure in failures)
    if refusal := next(filter(None, refusals), None):
        return refusal
    if any(http_status(failure.reason) == 404 for failure in failures):  # noqa: PLR2004  # what HTTP calls it
        return f"the channel no longer has it: {relock_remedy(image)}"
    return "run the same command again when the channel can be reached: what was fetched is kept"
