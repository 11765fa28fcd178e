"""Compare locked packages with the current index of their channel, to find locks that were edited by hand.

Imports credentials, which the engine has already read, to log in to channels; it calls no engine itself.
"""

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import anyio
import rattler
from rattler import Config, Gateway, SourceConfig
from rattler.networking import Client

from pipeline.credentials.channel_auth import explain_refusal
from pipeline.credentials.logins import Logins
from pipeline.errors import Code, PipelineError
from pipeline.locks.lockfile import Package

#: Number of retries, with growing pauses, when a channel does not answer.
RETRIES: Final = 3
#: Time limit of a request to a channel, in seconds.
TIMEOUT: Final = 300


def by_channel(packages: Iterable[Package]) -> dict[str, dict[str, Package]]:
    """Group the conda packages from channels by the URL of the channel, then by their path in it.

    Packages from folders have no channel, and pixi checks those from PyPI.
    """
    groups: dict[str, dict[str, Package]] = {}
    for package in packages:
        channel, subdir, file = package.origin
        if package.kind == "conda" and urlsplit(channel).scheme in ("http", "https"):
            groups.setdefault(channel, {})[f"{subdir}/{file}"] = package
    return groups


async def find_differences(packages: Iterable[Package], logins: Logins) -> list[str]:
    """Compare locked packages with their channels and describe each difference in a short sentence.

    Args:
        packages: locked packages, of any number of channels.
        logins: credentials of channels.

    Raises:
        PipelineError: a channel cannot be queried.
    """
    differences: list[str] = []
    for channel, locked in sorted(by_channel(packages).items()):
        try:
            listed = await _query(channel, locked, logins)
        except Exception as error:
            details = logins.hide(" ".join(str(error).split()))
            remedy = explain_refusal(details, logins.channels) or "run the same command again when it can be reached"
            raise PipelineError(
                Code.CHANNEL_UNREACHABLE, f"channel {channel} cannot be queried: {details}; {remedy}"
            ) from error
        differences += compare(locked, listed)
    return differences


def compare(locked: Mapping[str, Package], listed: Mapping[str, rattler.RepoDataRecord]) -> list[str]:
    """Describe the differences between a lock and a channel; a value that either of them lacks is not compared.

    Args:
        locked: packages of the lock by their path in the channel.
        listed: packages of the channel by path.
    """
    differences = []
    for path, package in sorted(locked.items()):
        record = listed.get(path)
        if record is None:
            differences.append(f"its channel does not list {path}")
            continue
        pairs = {
            "sha256": (package.sha256, record.sha256.hex() if record.sha256 else None),
            "md5": (package.md5, record.md5.hex() if record.md5 else None),
            "size": (package.size, record.size),
        }
        wrong = [key for key, (ours, theirs) in pairs.items() if ours and theirs and ours != theirs]
        if wrong:
            differences.append(f"its channel has another {' and '.join(wrong)} for {path}")
    return differences


async def _query(channel: str, locked: Mapping[str, Package], logins: Logins) -> dict[str, rattler.RepoDataRecord]:
    """Query a channel for all packages of the locked names, by their path in the channel."""
    # Certificates of the system, because a lab's network may have a certificate authority of its own.
    config = Config.from_toml(f'tls-root-certs = "system"{logins.rattler_config()}')
    client = Client.from_config(config, max_retries=RETRIES, timeout=TIMEOUT)
    cache = await anyio.to_thread.run_sync(tempfile.mkdtemp)
    gateway = Gateway(Path(cache), default_config=SourceConfig(cache_action="no-cache"), client=client)
    names = {package.name for package in locked.values()}
    subdirs = {path.partition("/")[0] for path in locked}
    answers = await gateway.query([rattler.Channel(channel)], map(rattler.Subdir, subdirs), names, recursive=False)
    return {f"{record.subdir}/{record.file_name}": record for answer in answers for record in answer}
