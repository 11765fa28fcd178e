"""Compare locked packages with what their channel lists now: a lock that was edited by hand says otherwise.

It logs in to channels with credentials that the engine has read; no engine is asked here.
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

#: Tries after the first one, with growing pauses, where a channel does not answer.
RETRIES: Final = 3
#: Seconds that one answer of a channel may take.
TIMEOUT: Final = 300


def by_channel(packages: Iterable[Package]) -> dict[str, dict[str, Package]]:
    """The conda packages that come from channels, by the channel's address and by their place in it.

    Packages in folders are no channel's, and PyPI's are left to pixi.
    """
    found: dict[str, dict[str, Package]] = {}
    for package in packages:
        channel, subdir, file = package.origin
        if package.kind == "conda" and urlsplit(channel).scheme in ("http", "https"):
            found.setdefault(channel, {})[f"{subdir}/{file}"] = package
    return found


async def find_differences(packages: Iterable[Package], logins: Logins) -> list[str]:
    """What locked packages and their channels do not agree on, a short sentence each.

    Args:
        packages: of all channels.
        logins: who logs in to channels.

    Raises:
        PipelineError: a channel cannot be asked.
    """
    differences: list[str] = []
    for channel, locked in sorted(by_channel(packages).items()):
        try:
            listed = await _ask(channel, locked, logins)
        except Exception as error:
            said = logins.hide(" ".join(str(error).split()))
            remedy = explain_refusal(said, logins.channels) or "run the same command again when it can be reached"
            raise PipelineError(
                Code.CHANNEL_UNREACHABLE, f"channel {channel} cannot be asked for what it has: {said}; {remedy}"
            ) from error
        differences += compare(locked, listed)
    return differences


def compare(locked: Mapping[str, Package], listed: Mapping[str, rattler.RepoDataRecord]) -> list[str]:
    """What a channel says otherwise than a lock; what one of both does not say is not compared.

    Args:
        locked: packages by their place in the channel.
        listed: the channel's own packages in the same way.
    """
    differences = []
    for place, package in sorted(locked.items()):
        record = listed.get(place)
        if record is None:
            differences.append(f"its channel does not list {place}")
            continue
        pairs = {
            "sha256": (package.sha256, record.sha256.hex() if record.sha256 else None),
            "md5": (package.md5, record.md5.hex() if record.md5 else None),
            "size": (package.size, record.size),
        }
        wrong = [what for what, (ours, theirs) in pairs.items() if ours and theirs and ours != theirs]
        if wrong:
            differences.append(f"its channel has another {' and '.join(wrong)} for {place}")
    return differences


async def _ask(channel: str, locked: Mapping[str, Package], logins: Logins) -> dict[str, rattler.RepoDataRecord]:
    """What a channel lists under the names of the packages, by place in the channel."""
    # The certificates of the system: a lab's own network may have its own authority.
    config = Config.from_toml(f'tls-root-certs = "system"{logins.rattler_config()}')
    client = Client.from_config(config, max_retries=RETRIES, timeout=TIMEOUT)
    cache = await anyio.to_thread.run_sync(tempfile.mkdtemp)
    gateway = Gateway(Path(cache), default_config=SourceConfig(cache_action="no-cache"), client=client)
    names = {package.name for package in locked.values()}
    subdirs = {place.partition("/")[0] for place in locked}
    answers = await gateway.query([rattler.Channel(channel)], map(rattler.Subdir, subdirs), names, recursive=False)
    return {f"{record.subdir}/{record.file_name}": record for answer in answers for record in answer}
