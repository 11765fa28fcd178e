"""Fetch the archives of conda packages into a cache, whose every archive is compared with its locked hash.

Usage: python -m pipeline.scripts.fetch PACKAGES CACHE DONE [COPIES]. PACKAGES is a file with a list of `Package` in
JSON. Prints `DownloadReport` in JSON. Exits with 1 after a failure; otherwise it writes the file DONE, with a line for
each package: the name of its archive in the cache, and its own name. The file depends on the packages alone. The folder
COPIES gets a copy of each archive, for a step that must not write to the cache.

The time of an archive is when it was last used; one that was not used for long is removed, and so is a part of a
download that was killed.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
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
#: Seconds after which an archive that was not used is removed, and a download that was not ended.
UNUSED, UNFINISHED = 30 * 24 * 3600, 2 * TIMEOUT


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
        """Fetch the packages that are missing or damaged, remove what is not used, and return the report."""
        self.cache.mkdir(parents=True, exist_ok=True)
        present = await asyncio.gather(*(asyncio.to_thread(self.is_present, package) for package in self.packages))
        missing = [package for package, is_present in zip(self.packages, present, strict=True) if not is_present]
        self.report.present = len(self.packages) - len(missing)
        progress = asyncio.create_task(self.print_progress(missing))
        await asyncio.gather(*(self.fetch(package) for package in missing))
        progress.cancel()
        self.evict()
        self.report.failures.sort(key=lambda failure: failure.name)
        return self.report

    def is_present(self, package: Package) -> bool:
        """Return whether the cache has a package, and mark it as used; a file that is not the package is removed."""
        file = self.cache / archive(package)
        try:
            if digest(file, package.kind) == package.hash:
                os.utime(file)
                return True
        except FileNotFoundError:
            return False
        print(f"{package.name} is damaged in the cache, and is fetched again", file=sys.stderr)
        file.unlink(missing_ok=True)
        return False

    def evict(self) -> None:
        """Remove archives that were not used for long, and parts of downloads that were killed."""
        now = time.time()
        for file in self.cache.iterdir():
            limit = UNFINISHED if file.name.startswith(".") else UNUSED
            # A concurrent build may have renamed or removed it.
            with contextlib.suppress(FileNotFoundError):
                if now - file.stat().st_mtime > limit:
                    file.unlink()

    async def fetch(self, package: Package) -> None:
        """Fetch one package into a temporary file, and rename it after its hash is verified."""
        half = self.cache / f".{package.name}.{time.monotonic_ns()}"
        async with self.slots:
            try:
                await download_to_path(self.client, package.url, half)
                actual = await asyncio.to_thread(stored_digest, half, package.kind)
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
    """Return the name of a package's archive in the cache: its hash, by which others can verify it."""
    return package.hash + (".tar.bz2" if package.url.endswith(".tar.bz2") else ".conda")


def digest(file: Path, kind: str) -> str:
    """Return the hash of a file, in hexadecimal digits."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, kind).hexdigest()


def stored_digest(file: Path, kind: str) -> str:
    """Return the hash of a file that is on the disk: after a power cut, a file may have its name and no content."""
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
    return digest(file, kind)


def copy(packages: list[Package], cache: Path, copies: Path) -> None:
    """Copy the archives of packages from the cache into another folder."""
    copies.mkdir(parents=True)
    for name in dict.fromkeys(map(archive, packages)):
        shutil.copyfile(cache / name, copies / name)


def main(file: str, cache: str, done: str, copies: str = "") -> int:
    """Run as a command; see the module's docstring."""
    packages = [Package(**package) for package in json.loads(Path(file).read_text())]
    report = asyncio.run(Fetch(packages, Path(cache)).run())
    print(json.dumps(asdict(report)))
    if report.failures:
        return 1
    if copies:
        copy(packages, Path(cache), Path(copies))
    Path(done).write_text("".join(f"{archive(package)} {package.name}\n" for package in packages))
    return 0


if __name__ == "__main__":
    code = main(*sys.argv[1:])
    sys.stdout.flush()
    # Without cleanup: threads of py-rattler may still run, and a regular exit beside them has crashed.
    os._exit(code)
