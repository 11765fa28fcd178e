"""Fetch conda packages as their channels have them, each held against its locked hash before the cache has it.

Usage: fetch.py PACKAGES CACHE DONE. PACKAGES is a JSON list of objects with the keys of `Package`. Prints a JSON object
with the keys of `Report`. Where there is a failure it exits with 1; otherwise it writes the file DONE, a line for each
package: what it is called in the cache, and its own name. That is the same for the same packages.
"""

import asyncio
import hashlib
import json
import os
import sys
import time
from pathlib import Path
from typing import TypedDict

from rattler import Config
from rattler.networking import Client
from rattler.package_streaming import download_to_path

#: Downloads at once: enough to fill a line, few enough to be welcome at a public channel.
AT_ONCE = 8
#: Tries after the first one, with growing pauses, where the failure may pass.
RETRIES = 4
#: Seconds that one download may take; a connection that stalls must end at some time.
TIMEOUT = 1800
#: Seconds between two lines of progress.
PROGRESS = 5


class Package(TypedDict):
    """One package: its name in the cache, its address, its locked hash and of which kind that is, its bytes."""

    name: str
    url: str
    kind: str
    hash: str
    size: int


class Failure(TypedDict):
    """Why one package could not be fetched."""

    name: str
    url: str
    reason: str


class DownloadReport(TypedDict):
    """Packages and bytes that were fetched, packages that were there before, and what failed."""

    fetched: int
    bytes: int
    present: int
    failures: list[Failure]


class Fetch:
    """One run over a list of packages."""

    def __init__(self, packages: list[Package], cache: Path, *, retries: int = RETRIES) -> None:
        self.packages = packages
        self.cache = cache
        # The certificates of the system: a lab's own network may have its own authority.
        config = Config.from_toml('tls-root-certs = "system"')
        self.client = Client.from_config(config, max_retries=retries, timeout=TIMEOUT)
        self.slots = asyncio.Semaphore(AT_ONCE)
        self.report = DownloadReport(fetched=0, bytes=0, present=0, failures=[])

    async def run(self) -> DownloadReport:
        """Fetch what is missing, and return the report."""
        self.cache.mkdir(parents=True, exist_ok=True)
        missing = [package for package in self.packages if not (self.cache / archive(package)).is_file()]
        self.report["present"] = len(self.packages) - len(missing)
        progress = asyncio.create_task(self.tell(missing))
        await asyncio.gather(*(self.fetch(package) for package in missing))
        progress.cancel()
        self.report["failures"].sort(key=lambda failure: failure["name"])
        return self.report

    async def fetch(self, package: Package) -> None:
        """Fetch one package beside its place, and put it there when its hash is right."""
        half = self.cache / f".{package['name']}.{time.monotonic_ns()}"
        async with self.slots:
            try:
                await download_to_path(self.client, package["url"], half)
                found = await asyncio.to_thread(digest, half, package["kind"])
            except Exception as error:  # noqa: BLE001  # py-rattler raises classes of all kinds
                self.fail(package, str(error))
            else:
                if found == package["hash"]:
                    # Another build may have been faster: it has put the very same bytes there.
                    half.rename(self.cache / archive(package))
                    self.report["fetched"] += 1
                    self.report["bytes"] += package["size"]
                else:
                    self.fail(package, f"its {package['kind']} is {found}, but {package['hash']} is locked")
            finally:
                half.unlink(missing_ok=True)

    def fail(self, package: Package, reason: str) -> None:
        """Note a failure; the other packages go on."""
        self.report["failures"].append(Failure(name=package["name"], url=package["url"], reason=reason))

    async def tell(self, missing: list[Package]) -> None:
        """Print how far it is, every few seconds."""
        total = sum(package["size"] for package in missing)
        while True:
            await asyncio.sleep(PROGRESS)
            done = f"{self.report['fetched']} of {len(missing)} packages"
            print(f"fetched {done}, {self.report['bytes'] / 1e6:.0f} of {total / 1e6:.0f} MB", file=sys.stderr)


def archive(package: Package) -> str:
    """What a package is called in the cache: by its hash, so that what is there is what is locked."""
    return package["hash"] + (".tar.bz2" if package["url"].endswith(".tar.bz2") else ".conda")


def digest(file: Path, kind: str) -> str:
    """The hash of a file, in hexadecimal digits."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, kind).hexdigest()


def main(packages: str, cache: str, done: str) -> int:
    """Run as a command; see the module's docstring."""
    wanted: list[Package] = json.loads(Path(packages).read_text())
    report = asyncio.run(Fetch(wanted, Path(cache)).run())
    print(json.dumps(report))
    if report["failures"]:
        return 1
    Path(done).write_text("".join(f"{archive(package)} {package['name']}\n" for package in wanted))
    return 0


if __name__ == "__main__":
    code = main(*sys.argv[1:])
    sys.stdout.flush()
    # At once: threads of py-rattler may still run, and an interpreter that ended beside them has crashed.
    os._exit(code)
