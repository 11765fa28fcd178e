"""The fetch stage: its script against a real HTTP server with real conda packages, and what is made of its report."""

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast

import dagger
import pytest
from dagger import dag

from pipeline.build.download import ARCHIVES, WHEELS, explain_fetch, fetched_list, packages, with_fetched
from pipeline.errors import LockError
from pipeline.scripts import fetch as script
from pipeline.scripts.messages import DownloadFailure, DownloadReport, Package
from pipeline.scripts.unpack import DAMAGED
from tests.sandbox.channel import package
from tests.unit.conftest import LOCK, CheckoutFolder
from tests.unit.lockfiles import locked

ROOT = Path(__file__).parents[3]


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files and keeps a list of what was asked for."""

    asked: list[str]

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Keep the path instead of printing it."""
        del code, size
        self.asked.append(self.path)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


class Channel:
    """A channel on this machine with the packages foo and bar."""

    def __init__(self, folder: Path, url: str, asked: list[str]) -> None:
        self.folder, self.url, self.asked = folder, url, asked

    def package(self, name: str, *, wrong_hash: bool = False) -> Package:
        """One package, as the pipeline passes it to the script."""
        file = package.write(self.folder, name, "1.0", "h0_0", {f"share/{name}.txt": name})
        value = "0" * 64 if wrong_hash else package_hash(file)
        url = f"{self.url}/linux-64/{file.name}"
        return Package(name=f"{name}-1.0-h0_0", url=url, kind="sha256", hash=value, size=file.stat().st_size)


def package_hash(file: Path) -> str:
    """The sha256 of a file, in hexadecimal digits."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture
def channel(tmp_path: Path) -> Iterator[Channel]:
    """A channel behind a real HTTP server on this machine."""
    folder = tmp_path / "channel"
    folder.mkdir()
    asked: list[str] = []
    handler = type("Handler", (QuietHandler,), {"asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield Channel(folder, f"http://127.0.0.1:{server.server_port}", asked)
        server.shutdown()


def fetch(cache: Path, *wanted: Package) -> DownloadReport:
    """Run the script's work without retries."""
    return asyncio.run(script.Fetch(list(wanted), cache, retries=0).run())


def test_packages_are_fetched_once(channel: Channel, tmp_path: Path) -> None:
    """A second run with the same packages asks the channel for nothing."""
    wanted = [channel.package("foo"), channel.package("bar")]
    first = fetch(tmp_path, *wanted)
    assert (first.fetched, first.present, first.failures) == (2, 0, [])
    assert {path.name for path in tmp_path.iterdir()} >= {script.archive(package) for package in wanted}
    channel.asked.clear()
    second = fetch(tmp_path, *wanted)
    assert (second.fetched, second.present, channel.asked) == (0, 2, [])


def test_a_wrong_hash_is_told_and_leaves_nothing(channel: Channel, tmp_path: Path) -> None:
    """A package that is not the locked one does not get into the cache; the others do."""
    bar = channel.package("bar")
    report = fetch(tmp_path / "cache", channel.package("foo", wrong_hash=True), bar)
    assert [failure.name for failure in report.failures] == ["foo-1.0-h0_0"]
    assert "but " + "0" * 64 + " is locked" in report.failures[0].reason
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [script.archive(bar)]


def test_a_package_of_the_same_name_and_another_hash_is_fetched_again(channel: Channel, tmp_path: Path) -> None:
    """A file of the cache is used only if it has the locked hash."""
    foo = channel.package("foo")
    fetch(tmp_path, foo)
    report = fetch(tmp_path, replace(foo, hash="0" * 64))
    assert len(report.failures) == 1


def test_a_package_that_is_not_there_is_told(channel: Channel, tmp_path: Path) -> None:
    """A missing package is reported with the channel's answer, and the others are fetched."""
    gone = channel.package("gone")
    (channel.folder / "linux-64/gone-1.0-h0_0.conda").unlink()
    report = fetch(tmp_path, gone, channel.package("bar"))
    assert report.fetched == 1
    assert "404" in report.failures[0].reason


def test_a_channel_out_of_reach_is_told(channel: Channel, tmp_path: Path) -> None:
    """A refused connection is a failure of each package."""
    foo = replace(channel.package("foo"), url="http://127.0.0.1:9/foo.conda")
    assert len(fetch(tmp_path, foo).failures) == 1


def test_the_command_says_the_same_for_the_same_packages(
    channel: Channel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The input of the next stage must not depend on whether the packages were fetched now or before."""
    (tmp_path / "packages.json").write_text(json.dumps([asdict(channel.package("foo"))]))
    done = []
    for _ in range(2):
        assert script.main(str(tmp_path / "packages.json"), str(tmp_path), str(tmp_path / "done")) == 0
        done.append((tmp_path / "done").read_text())
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert done[0] == done[1]
    assert (first["fetched"], second["fetched"]) == (1, 0)


def test_the_command_fails_without_its_mark(channel: Channel, tmp_path: Path) -> None:
    """A failure ends the stage, and nothing says that the packages are there."""
    (tmp_path / "packages.json").write_text(json.dumps([asdict(channel.package("foo", wrong_hash=True))]))
    assert script.main(str(tmp_path / "packages.json"), str(tmp_path), str(tmp_path / "done")) == 1
    assert not (tmp_path / "done").exists()


def test_what_was_fetched_is_unpacked_by_its_name(channel: Channel, tmp_path: Path) -> None:
    """Each package becomes a folder of its own name, from whatever kind of archive; the time of its files stays."""
    fetched(tmp_path, channel.package("foo"), channel.package("bar"))
    assert unpack(tmp_path).returncode == 0
    assert (tmp_path / "pkgs/foo-1.0-h0_0/share/foo.txt").read_text() == "foo"
    assert (tmp_path / "pkgs/bar-1.0-h0_0/info/index.json").is_file()


def test_a_package_that_cannot_be_unpacked_is_told(channel: Channel, tmp_path: Path) -> None:
    """A locked file that is no archive ends the unpacking with a failure that names it; the others are unpacked."""
    foo, bar = channel.package("foo"), channel.package("bar")
    archive = channel.folder / "linux-64/foo-1.0-h0_0.conda"
    archive.write_bytes(b"not an archive")
    fetched(tmp_path, replace(foo, hash=package_hash(archive)), bar)
    ended = unpack(tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.startswith("foo-1.0-h0_0 cannot be unpacked: ")
    assert (tmp_path / "pkgs/bar-1.0-h0_0/share/bar.txt").is_file()


@pytest.mark.parametrize("kind", ["empty", "other", "missing"])
def test_what_the_cache_does_not_have_is_fetched_again(channel: Channel, tmp_path: Path, kind: str) -> None:
    """The unpacking says so by its exit code, whatever the file's name is; fetched again, all is well."""
    wanted = [channel.package("foo"), channel.package("bar")]
    fetched(tmp_path, *wanted)
    archive = tmp_path / "cache" / script.archive(wanted[0])
    if kind == "missing":
        archive.unlink()
    else:
        archive.write_bytes(b"" if kind == "empty" else (tmp_path / "cache" / script.archive(wanted[1])).read_bytes())
    ended = unpack(tmp_path)
    assert ended.returncode == DAMAGED
    assert ended.stderr == "foo-1.0-h0_0 is missing or damaged in the cache of packages\n"
    report = fetch(tmp_path / "cache", *wanted)
    assert (report.fetched, report.present, report.failures) == (1, 1, [])
    shutil.rmtree(tmp_path / "pkgs")
    assert unpack(tmp_path).returncode == 0
    assert (tmp_path / "pkgs/foo-1.0-h0_0/share/foo.txt").read_text() == "foo"


def test_a_damaged_package_that_cannot_be_fetched_again_is_gone(
    channel: Channel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing finds it by its name; the output has the reason for the download."""
    foo = channel.package("foo")
    fetch(tmp_path, foo)
    (tmp_path / script.archive(foo)).write_bytes(b"")
    (channel.folder / "linux-64/foo-1.0-h0_0.conda").unlink()
    assert len(fetch(tmp_path, foo).failures) == 1
    assert list(tmp_path.glob("*.conda")) == []
    assert "foo-1.0-h0_0 is damaged in the cache, and is fetched again" in capsys.readouterr().err


def test_what_was_not_used_is_removed(channel: Channel, tmp_path: Path) -> None:
    """Packages after thirty days, whoever used them last, and parts of downloads that nobody goes on with."""
    used, unused, half, fresh = (tmp_path / "cache" / name for name in ("1.conda", "2.conda", ".foo.1", ".bar.1"))
    foo = channel.package("foo")
    fetched(tmp_path, foo)
    days = {used: 29, unused: 31, half: 1, fresh: 0, tmp_path / "cache" / script.archive(foo): 31}
    for file, age in days.items():
        file.touch()
        os.utime(file, times=(time.time() - age * 24 * 3600,) * 2)
    assert unpack(tmp_path).returncode == 0
    fetch(tmp_path / "cache")
    assert {file for file in days if file.exists()} == {*days} - {unused, half}
    os.utime(tmp_path / "cache" / script.archive(foo), times=(0, 0))
    assert fetch(tmp_path / "cache", foo).present == 1


def test_a_package_is_on_the_disk_before_it_has_its_name(
    channel: Channel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a power cut leaves a name without content."""
    stored: list[str] = []
    fsync = os.fsync

    def noting(number: int) -> None:
        stored.append(Path(f"/proc/self/fd/{number}").readlink().name)
        assert not list(tmp_path.glob("*.conda"))
        fsync(number)

    monkeypatch.setattr("os.fsync", noting)
    fetch(tmp_path, channel.package("foo"))
    assert [name.rpartition(".")[0] for name in stored] == [".foo-1.0-h0_0"]
    assert list(tmp_path.glob("*.conda"))


def test_copies_are_for_those_who_must_not_write(channel: Channel, tmp_path: Path) -> None:
    """They are unpacked as the archives themselves; what happens to them does not touch the cache."""
    foo = channel.package("foo")
    (tmp_path / "packages.json").write_text(json.dumps([asdict(foo)]))
    places = [str(tmp_path / name) for name in ("packages.json", "volume", "cache/list", "cache")]
    assert script.main(*places) == 0
    shutil.copy(tmp_path / "cache/list", tmp_path / "done")
    copy = tmp_path / "cache" / script.archive(foo)
    assert unpack(tmp_path).returncode == 0
    copy.write_bytes(b"")
    assert unpack(tmp_path).returncode == DAMAGED
    assert fetch(tmp_path / "volume", foo).present == 1


class Mounts:
    """Stands for a container, and notes what is mounted."""

    def __init__(self) -> None:
        self.mounted: dict[str, str] = {}

    def __getattr__(self, kind: str) -> Callable[..., "Mounts"]:
        def mount(path: str, *_: object) -> "Mounts":
            self.mounted[path] = kind
            return self

        return mount


@pytest.mark.parametrize("copied", [True, False])
def test_code_from_elsewhere_gets_no_volume(*, copied: bool) -> None:
    """It could write to what other builds read."""
    container = Mounts()
    with_fetched(cast("dagger.Container", container), dag.container(), "linux-64", copied=copied)
    volumes = {path for path, kind in container.mounted.items() if kind == "with_mounted_cache"}
    assert volumes == (set() if copied else {ARCHIVES, WHEELS})
    # The list is among the archives, or it is mounted by itself.
    path = fetched_list(copied=copied)
    assert any(path.startswith(mounted) for mounted in container.mounted)
    assert ARCHIVES in container.mounted


def fetched(folder: Path, *wanted: Package) -> None:
    """Run the command, with the cache in ``cache`` and its mark in ``done``."""
    (folder / "packages.json").write_text(json.dumps([asdict(package) for package in wanted]))
    assert script.main(*(str(folder / name) for name in ("packages.json", "cache", "done"))) == 0


def unpack(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the script in a process of its own: it forks, and waits for all children that its process has."""
    places = [str(folder / name) for name in ("done", "cache", "pkgs")]
    command = [sys.executable, "-m", "pipeline.scripts.unpack", *places]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def test_a_lock_gives_its_packages() -> None:
    """Every locked package is fetched from its address, by its hash."""
    found = packages("ml_platform", locked(ROOT / "ml_platform", "ml", "12.8").conda.values())
    assert len(found) == 504
    assert found[0].name == "_openmp_mutex-4.5-7_kmp_llvm"
    assert found[0].url == "https://conda.anaconda.org/conda-forge/linux-64/_openmp_mutex-4.5-7_kmp_llvm.conda"
    assert (found[0].kind, len(found[0].hash), found[0].size) == ("sha256", 64, 8244)


def test_a_package_without_a_hash_is_refused(checkout: CheckoutFolder) -> None:
    """A package that cannot be checked is not installed."""
    checkout.write("small/pixi.lock", "".join(line for line in LOCK.splitlines(keepends=True) if "sha256" not in line))
    with pytest.raises(LockError, match=r"^small/pixi\.lock has no hash for python-3\.12\.1-h0_0\.conda; run"):
        packages("small", locked(checkout.image).conda.values())


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        ("its sha256 is 1, but 2 is locked", "otherwise do not trust the channel"),
        (
            "HTTP status client error (404 Not Found)",
            "the channel no longer has it: run 'dagger call lock --image small'",
        ),
        ("foo-404.conda: Request failed after 4 retries", "what was fetched is kept"),
        (
            "HTTP status client error (401 Unauthorized) for url (https://channel/foo.conda)",
            "'with-channel-auth --host",
        ),
    ],
)
def test_failures_are_explained(reason: str, remedy: str) -> None:
    """The sentence names package, address, reason and remedy."""
    failure = DownloadFailure(name="foo-1.0-h0_0", url="https://channel/foo.conda", reason=reason)
    report = DownloadReport(fetched=3, bytes=9, present=1, failures=[failure])
    message = str(explain_fetch("small", json.dumps(asdict(report)), ""))
    assert message.startswith(
        "small: 1 of 5 packages of small/pixi.lock could not be fetched: "
        f"foo-1.0-h0_0 from https://channel/foo.conda: {reason}; "
    )
    assert message.count(remedy) == 1


def test_many_failures_are_counted() -> None:
    """Three failures are named, the others counted."""
    failures = [DownloadFailure(name=f"p{number}", url="u", reason="r") for number in range(5)]
    report = DownloadReport(fetched=0, bytes=0, present=0, failures=failures)
    message = str(explain_fetch("small", json.dumps(asdict(report)), ""))
    assert "p2 from u: r; and 2 more;" in message


def test_a_script_that_did_not_run_is_told() -> None:
    """Without a report, the last line of the output is the reason."""
    assert "did not run: pip: no network;" in str(explain_fetch("small", "", "Traceback\npip: no network\n"))


def test_the_fetch_stage_has_the_versions_of_the_module() -> None:
    """The script's requirements are pinned by the same lock as the module's."""
    lines = (ROOT / "pipeline/scripts/fetch.lock").read_text().splitlines()[1:]
    assert "\n".join(lines) in (ROOT / "requirements.lock").read_text()
