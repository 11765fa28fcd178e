"""Conda packages out of wheels: downloaded by the hashes of `wheels.lock`, unpacked as an installer does, packed."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from installer import install
from installer.destinations import SchemeDictionaryDestination
from installer.sources import WheelContentElement, WheelFile
from packaging.metadata import RawMetadata, parse_email
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name, parse_wheel_filename

from tests.sandbox.channel import bytecode, package
from tests.sandbox.channel.interpreter import MINOR, STDLIB, find_python
from tests.sandbox.channel.names import conda_name, dependencies, entry_points
from tests.sandbox.errors import SandboxError

LOCK: Final = Path(__file__).with_name("wheels.lock")
_SITE: Final = f"{STDLIB}/site-packages"
#: What conda-forge's packages need that no wheel's metadata says.
_ADDED: Final[Mapping[str, tuple[str, ...]]] = {"tensorflow": ("__cuda",), "root": ("compilers",)}
#: The start of a build string, where it says more than the Python version.
_BUILDS: Final[Mapping[str, tuple[str, int]]] = {"tensorflow": ("cuda128py312", 200)}


@dataclass(frozen=True)
class Pin:
    """One wheel of the lock: its normal name, and its lines there."""

    name: str
    text: str


def read_lock(lock: Path = LOCK) -> dict[str, Pin]:
    """The wheels of a lock by name. A requirement starts a line; its hashes follow, indented."""
    blocks = re.findall(r"^(?=\w)(([\w.-]+)==.*(?:\n[ \t].*)*)", lock.read_text(), re.MULTILINE)
    found = (Pin(canonicalize_name(name), text) for text, name in blocks)
    pins = {pin.name: pin for pin in found}
    without = [pin.name for pin in pins.values() if "--hash=sha256:" not in pin.text]
    if without or not pins:
        raise SandboxError(
            f"{lock} has no hash for {', '.join(without) or 'anything'}: write it anew with the command at the top of "
            f"{lock.with_suffix('.in').name}."
        )
    return pins


def pack(pins: Iterable[Pin], folder: Path, *, say: Callable[[str], None] = print) -> None:
    """Write a conda package of each wheel into a channel's `linux-64/` and `noarch/`.

    Raises:
        SandboxError: a download failed, or a wheel is not what the lock says.
    """
    with tempfile.TemporaryDirectory(dir=folder, prefix=".wheels-") as place:
        wheels = sorted(_download(list(pins), Path(place), say), key=lambda wheel: -wheel.stat().st_size)
        known = {_name(wheel): read_metadata(wheel) for wheel in wheels}
        one = partial(pack_wheel, folder=folder, known=known)
        # Threads do: unpacking, hashing and packing are done outside of Python's lock.
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            list(pool.map(one, wheels))


class _Wheel(WheelFile):
    """A wheel without the byte code that some bring: it says where, and on which day, it was made."""

    def get_contents(self) -> Iterator[WheelContentElement]:
        return (element for element in super().get_contents() if "__pycache__" not in Path(element[0][0]).parts)


def _download(pins: list[Pin], place: Path, say: Callable[[str], None]) -> list[Path]:
    listed = place / "requirements.txt"
    listed.write_text("".join(f"{pin.text}\n" for pin in pins))
    command = [sys.executable, "-m", "pip", "download", "--require-hashes", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--no-input", "--progress-bar=off", "--no-cache-dir"]
    done = subprocess.run(
        [*command, f"--dest={place}", f"--requirement={listed}"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        last = "; ".join(line for line in done.stderr.splitlines() if line.startswith("ERROR"))[-600:]
        raise SandboxError(
            f"pip could not download {len(pins)} wheels of {LOCK.name}: {last or done.stderr[-600:].strip()}. "
            "Check that this machine reaches PyPI or a mirror of it, then try again."
        )
    wheels = sorted(place.glob("*.whl"))
    say(f"downloaded {len(wheels)} wheels, {sum(wheel.stat().st_size for wheel in wheels) / 1e6:.0f} MB")
    return wheels


def _name(wheel: Path) -> str:
    return parse_wheel_filename(wheel.name)[0]


def read_metadata(wheel: Path) -> RawMetadata:
    """What a wheel says about itself."""
    with WheelFile.open(wheel) as source:
        return parse_email(source.read_dist_info("METADATA"))[0]


def pack_wheel(wheel: Path, *, folder: Path, known: Mapping[str, RawMetadata]) -> Path:
    """Write one wheel's package into a channel, and remove the wheel.

    Args:
        wheel: where it is; it is unpacked beside itself.
        folder: the channel.
        known: metadata by normal name of this wheel, and of those whose extras it asks for.
    """
    name, version, _, tags = parse_wheel_filename(wheel.name)
    pure = all(tag.abi == "none" and tag.platform == "any" for tag in tags)
    metadata = known[name]
    tree = wheel.with_suffix(".tree")
    scripts = _unpack(wheel, tree)
    digest = package.file_hash(wheel)[:7]
    depends = dependencies(metadata, known)
    if pure:
        _make_noarch(tree, scripts)
        build = f"pyh{digest}_0"
        depends.append(f"python {SpecifierSet(metadata.get('requires_python', '>=3'))}")
    else:
        bytecode.compile_modules(find_python(), tree, tree / _SITE, unchecked=False)
        start, number = _BUILDS.get(name, ("py312", 0))
        build = f"{start}h{digest}_{number}"
        depends += [f"python {MINOR}.*"]
    written = package.write(
        folder,
        conda_name(name),
        _root_version(tree) if name == "root" else str(version),
        build,
        tree,
        depends=sorted([*depends, *_ADDED.get(name, ())]),
        noarch="python" if pure else None,
        entry_points=scripts if pure else (),
        about=_about(metadata),
    )
    shutil.rmtree(tree)
    wheel.unlink()
    return written


def _unpack(wheel: Path, tree: Path) -> list[str]:
    """Lay a wheel's files out as in an environment; returns its entry points."""
    prefix = package.PREFIX
    places = {"purelib": _SITE, "platlib": _SITE, "scripts": "bin", "data": "", "headers": "include/python3.12"}
    destination = SchemeDictionaryDestination(
        {scheme: f"{prefix}/{place}" for scheme, place in places.items()},
        interpreter=f"{prefix}/bin/python{MINOR}",
        script_kind="posix",
        destdir=str(tree),
    )
    with _Wheel.open(wheel) as source:
        install(source, destination, {"INSTALLER": b"conda\n"})
        points = "entry_points.txt" in source.dist_info_filenames
        scripts = entry_points(source.read_dist_info("entry_points.txt")) if points else []
    below = tree / prefix.lstrip("/")
    for child in sorted(below.iterdir()):
        child.rename(tree / child.name)
    shutil.rmtree(tree / prefix.split("/")[1])
    package.settle_times(tree)
    return scripts


def _make_noarch(tree: Path, scripts: Iterable[str]) -> None:
    """Turn an environment's layout into that of a noarch package, whose entry points the installer writes."""
    (tree / _SITE).rename(tree / "site-packages")
    shutil.rmtree(tree / "lib")
    for script in scripts:
        (tree / "bin" / script.split(" = ")[0]).unlink()
    if (tree / "bin").exists():
        (tree / "bin").rename(tree / "python-scripts")


def _root_version(tree: Path) -> str:
    """ROOT's own version: its wheels are numbered apart, and conda-forge goes by this one."""
    text = (tree / _SITE / "ROOT/include/ROOT/RVersion.hxx").read_text()
    parts = [re.search(rf"ROOT_VERSION_{part}\s+(\d+)", text) for part in ("MAJOR", "MINOR", "PATCH")]
    numbers = [int(found[1]) for found in parts if found]
    return f"{numbers[0]}.{numbers[1]:02}.{numbers[2]:02}"


def _about(metadata: RawMetadata) -> package.About:
    stated = metadata.get("license_expression") or metadata.get("license") or ""
    classified = [line.rpartition(" :: ")[2] for line in metadata.get("classifiers", []) if line.startswith("License")]
    # Some put the whole text of the licence where its name belongs.
    short = stated if 0 < len(stated) < 100 else ", ".join(classified) or " ".join(stated.split()[:12])
    urls = metadata.get("project_urls", {})
    home = metadata.get("home_page") or next((urls[key] for key in sorted(urls)), "")
    return package.About(short or "None", metadata.get("summary", ""), home)
