"""Traces of a publication: requests in the registries' logs, and everything that they keep."""

import gzip
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tests.engine.publishing import Shop
from tests.sandbox.hosts import REGISTRIES as HOSTS
from tests.sandbox.state import current

#: The first bytes of what gzip has compressed.
GZIP: Final = b"\x1f\x8b"


def writes(since: dict[str, int], shop: Shop) -> list[str]:
    """The writes to a shop's repositories: the requests in the web servers' logs that are not readings."""
    paths = {registry.partition("/")[2] for registry in shop.registries}
    lines = [line for host, size in since.items() for line in log_of(host).read_text()[size:].splitlines()]
    return [
        line
        for line in lines
        if any(f"/v2/{path}/" in line for path in paths) and '"GET ' not in line and '"HEAD ' not in line
    ]


def log_of(host: str) -> Path:
    """The log of a registry's web server: a line a request."""
    return current().log / f"{host}.access.log"


def log_sizes() -> dict[str, int]:
    """The present lengths of the logs."""
    return {host.name: len(log_of(host.name).read_text()) for host in HOSTS}


def engine_log_size() -> int:
    """The present length of the engine's log."""
    return (current().log / "engine.log").stat().st_size


def found(secrets: Sequence[bytes], shop: Shop, printed: str, since: int) -> list[str]:
    """The places where one of these secrets is: printed text, the engine's log, or files of the registries.

    Args:
        secrets: what to look for.
        shop: whose repositories are searched.
        printed: all that the command printed.
        since: how long the engine's log was before.
    """
    with (current().log / "engine.log").open("rb") as log:
        log.seek(since)
        searched = {"output": printed.encode(), "the engine's log": log.read()}
    leaks = [name for name, data in searched.items() if any(secret in data for secret in secrets)]
    return leaks + [str(file) for file, data in stored(shop) if any(secret in data for secret in secrets)]


def stored(shop: Shop) -> Iterator[tuple[Path, bytes]]:
    """Everything that the registries keep for a shop: manifests, configurations, and layers without compression.

    What several of them keep is given once.
    """
    known = set()
    for registry in shop.registries:
        name, _, path = registry.partition("/")
        host = next(host for host in HOSTS if host.name.endswith(name))
        files = files_of(current().registry / host.name, path)
        assert files
        for file in files:
            data = file.read_bytes()
            digest = hashlib.sha256(data).digest()
            if digest not in known:
                known.add(digest)
                yield file, gzip.decompress(data) if data.startswith(GZIP) else data


def files_of(folder: Path, name: str) -> list[Path]:
    """The files that a registry keeps for a name, in the layout of either kind of registry."""
    files = [file for file in (folder / name).rglob("*") if file.is_file()]
    storage = folder / "docker/registry/v2"
    for link in (storage / "repositories" / name).rglob("link"):
        digest = link.read_text().removeprefix("sha256:")
        files.append(storage / "blobs/sha256" / digest[:2] / digest / "data")
    return files
