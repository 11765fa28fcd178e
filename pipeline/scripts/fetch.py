"""Fetch the archives of conda packages into a cache, and verify the locked hash of each before it is in the cache.

Usage: python -m pipeline.scripts.fetch PACKAGES CACHE DONE. PACKAGES is a file with a list of `Package` in JSON. Prints
`DownloadReport` in JSON. Exits with 1 after a failure; otherwise it writes the file DONE, with a line for each package:
the name of its archive in the cache, and its own name. The file depends on the packages alone.
"""

import asyncio
import hashlib
import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path

from rattler import Config
from rattler.networking import Client
from rattler.package_streaming import download_to_path

from pipeline.scripts.messages import DownloadFailure, DownloadReport, Package

#: Downloads at once: enough for the full bandwidth, few enough for a public channel.
AT_ONCE = 8
#: Retries after a transient failure, with growing pauses.
RETRIES = 4
#: Time limit of one download in seconds, against connections that stall.
TIMEOUT = 1800
#: Seconds between two lines of progress.
PROGRESS = 5


class Fetch:
    """One run over a list of packages."""

    def __init__(self, packages: list[Package], cache: Path, *, retries: int = RETRIES) -> None:
        self.packages = packages
        self.cache = cache
        # The system's certificates: a lab's network may have its own certificate authority.
        config = Config.from_toml('tls-root-certs = "system"')
        self.client = Client.from_config(config, max_retries=retries, timeout=TIMEOUT)
        self.slots = asyncio.Semaphore(AT_ONCE)
        self.report = DownloadReport(fetched=0, bytes=0, present=0, failures=[])

    async def run(self) -> DownloadReport:
        """Fetch the missing packages, and return the report."""
        self.cache.mkdir(parents=True, exist_ok=True)
        missing = [package for package in self.packages if not (self.cache / archive(package)).is_file()]
        self.report.present = len(self.packages) - len(missing)
        progress = asyncio.create_task(self.print_progress(missing))
        await asyncio.gather(*(self.fetch(package) for package in missing))
        progress.cancel()
        self.report.failures.sort(key=lambda failure: failure.name)
        return self.report

    async def fetch(self, package: Package) -> None:
        """Fetch one package into a temporary file, and rename it after its hash is verified."""
        half = self.cache / f".{package.name}.{time.monotonic_ns()}"
        async with self.slots:
            try:
                await download_to_path(self.client, package.url, half)
                actual = await asyncio.to_thread(digest, half, package.kind)
            except Exception as error:  # noqa: BLE001  # py-rattler raises classes of all kinds
                self.fail(package, str(error))
            else:
                if actual == package.hash:
                    # A concurrent build may have written the file already: with the same bytes.
                    half.rename(self.cache / archive(package))
                    self.report.fetched += 1
                    self.report.bytes += package.size
                else:
                    self.fail(package, f"its {package.kind} is {actual}, but {package.hash} is locked")
            finally:
                half.unlink(missing_ok=True)

    def fail(self, package: Package, reason: str) -> None:
        """Add a failure to the report; the other downloads continue."""
        self.report.failures.append(DownloadFailure(name=package.name, url=package.url, reason=reason))

    async def print_progress(self, missing: list[Package]) -> None:
        """Print the progress, every few seconds."""
        total = sum(package.size for package in missing)
        while True:
            await asyncio.sleep(PROGRESS)
            done = f"{self.report.fetched} of {len(missing)} packages"
            print(f"fetched {done}, {self.report.bytes / 1e6:.0f} of {total / 1e6:.0f} MB", file=sys.stderr)


def archive(package: Package) -> str:
    """Return the name of a package's archive in the cache: its hash, so that a file there matches the lock."""
    return package.hash + (".tar.bz2" if package.url.endswith(".tar.bz2") else ".conda")


def digest(file: Path, kind: str) -> str:
    """Return the hash of a file, in hexadecimal digits."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, kind).hexdigest()


def main(file: str, cache: str, done: str) -> int:
    """Run as a command; see the module's docstring."""
    packages = [Package(**package) for package in json.loads(Path(file).read_text())]
    report = asyncio.run(Fetch(packages, Path(cache)).run())
    print(json.dumps(asdict(report)))
    if report.failures:
        return 1
    Path(done).write_text("".join(f"{archive(package)} {package.name}\n" for package in packages))
    return 0


if __name__ == "__main__":
    code = main(*sys.argv[1:])
    sys.stdout.flush()
    # Without cleanup: threads of py-rattler may still run, and a regular exit beside them has crashed.
    os._exit(code)
