"""List the packages that are in the file system of an image, by what package managers have written down there.

Usage: python -m pipeline.scripts.contents ROOT PREFIX. ROOT is where the image's file system is mounted, PREFIX the
environment's folder in it. Prints a JSON object with the keys of `Contents`.
"""

import json
import sys
from collections.abc import Iterator
from email.parser import HeaderParser
from pathlib import Path
from typing import TypedDict

from pipeline.scripts.folders import wheels


class Installed(TypedDict):
    """One package: what it is called and, where it is written down, where it is from and its hashes and licence."""

    name: str
    version: str
    build: str
    url: str
    sha256: str | None
    md5: str | None
    license: str | None


class Debian(TypedDict):
    """One package of Debian or Ubuntu, with the source package that it was built from."""

    name: str
    version: str
    architecture: str
    source: str


class Contents(TypedDict):
    """All packages, by who installed them; and which distribution it is, as in "debian-12"."""

    conda: list[Installed]
    pypi: list[Installed]
    debian: list[Debian]
    distribution: str


def conda_packages(prefix: Path) -> tuple[list[Installed], set[str]]:
    """The conda packages of an environment, and the paths in it of all their files."""
    packages: list[Installed] = []
    files: set[str] = set()
    for record in sorted(prefix.glob("conda-meta/*.json")):
        said = json.loads(record.read_text(encoding="utf-8"))
        files.update(said.get("files", []))
        packages.append(
            Installed(
                name=said["name"],
                version=said["version"],
                build=said["build"],
                url=said.get("url") or "",
                sha256=said.get("sha256"),
                md5=said.get("md5"),
                license=said.get("license"),
            )
        )
    return packages, files


def pypi_packages(prefix: Path, files: set[str]) -> list[Installed]:
    """The Python packages of an environment that no conda package brought."""
    packages = []
    for metadata in wheels(prefix, "METADATA", files):
        # Without the description, which follows a blank line and is long.
        head = HeaderParser().parsestr(metadata.read_text(encoding="utf-8", errors="replace"), headersonly=True)
        packages.append(
            Installed(
                name=str(head["Name"]),
                version=str(head["Version"]),
                build="",
                url="",
                sha256=None,
                md5=None,
                license=_line(head["License-Expression"] or head["License"]),
            )
        )
    return packages


def _line(text: str | None) -> str | None:
    """A licence's name; some packages have its whole text there."""
    return text if text and "\n" not in text else None


def debian_packages(root: Path) -> Iterator[Debian]:
    """The packages that dpkg has installed; images without a shell have a file each instead of one for all."""
    status = root / "var/lib/dpkg/status"
    files = [status] if status.is_file() else sorted((root / "var/lib/dpkg/status.d").glob("*"))
    for file in files:
        for paragraph in file.read_text(encoding="utf-8", errors="replace").split("\n\n"):
            said = HeaderParser().parsestr(paragraph.strip("\n"))
            # What was removed may have left its configuration, and is still listed.
            if said["Package"] and said["Version"] and said.get("Status", "installed").endswith("installed"):
                source = (said["Source"] or said["Package"]).partition(" ")[0]
                yield Debian(
                    name=said["Package"],
                    version=said["Version"],
                    architecture=said.get("Architecture", ""),
                    source=source,
                )


def distribution(root: Path) -> str:
    """The name and version of the distribution, by its own words; nothing where it says none."""
    release = root / "etc/os-release"
    if not release.is_file():
        return ""
    lines = (line.partition("=") for line in release.read_text(encoding="utf-8").splitlines())
    said = {key: value.strip("\"'") for key, _, value in lines}
    return "-".join(said[key] for key in ("ID", "VERSION_ID") if key in said)


def read(root: Path, prefix: str) -> Contents:
    """All packages of an image."""
    environment = root / prefix.lstrip("/")
    conda, files = conda_packages(environment)
    return Contents(
        conda=conda,
        pypi=pypi_packages(environment, files),
        debian=list(debian_packages(root)),
        distribution=distribution(root),
    )


if __name__ == "__main__":
    print(json.dumps(read(Path(sys.argv[1]), sys.argv[2])))
