"""List the packages in an image's file system from the databases of its package managers.

Usage: python -m pipeline.scripts.contents ROOT PREFIX. ROOT is the mount point of the image's file system, PREFIX the
path of the environment in it. Prints `Contents` in JSON.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from email.parser import HeaderParser
from pathlib import Path

from pipeline.scripts.folders import wheels
from pipeline.scripts.messages import Contents, Debian, Installed


def conda_packages(prefix: Path) -> tuple[list[Installed], set[str]]:
    """Read the conda packages of an environment, and the paths in it of all their files."""
    packages: list[Installed] = []
    files: set[str] = set()
    for path in sorted(prefix.glob("conda-meta/*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        files.update(record.get("files", []))
        packages.append(
            Installed(
                name=record["name"],
                version=record["version"],
                build=record["build"],
                url=record.get("url") or "",
                sha256=record.get("sha256"),
                md5=record.get("md5"),
                license=record.get("license"),
            )
        )
    return packages, files


def pypi_packages(prefix: Path, files: set[str]) -> list[Installed]:
    """Read the Python packages of an environment that are not part of a conda package."""
    packages = []
    for metadata in wheels(prefix, "METADATA", files):
        # Headers only: the long description follows them.
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
    """Return the name of a licence; None where the field has its whole text."""
    return text if text and "\n" not in text else None


def debian_packages(root: Path) -> Iterator[Debian]:
    """Read the packages that dpkg has installed; distroless images have one file for each instead of one for all."""
    status = root / "var/lib/dpkg/status"
    files = [status] if status.is_file() else sorted((root / "var/lib/dpkg/status.d").glob("*"))
    for file in files:
        for paragraph in file.read_text(encoding="utf-8", errors="replace").split("\n\n"):
            fields = HeaderParser().parsestr(paragraph.strip("\n"))
            # A removed package with configuration files left is still in the database.
            if fields["Package"] and fields["Version"] and fields.get("Status", "installed").endswith("installed"):
                source = (fields["Source"] or fields["Package"]).partition(" ")[0]
                yield Debian(
                    name=fields["Package"],
                    version=fields["Version"],
                    architecture=fields.get("Architecture", ""),
                    source=source,
                )


def distribution(root: Path) -> str:
    """Read the name and version of the distribution from its os-release; empty where it has none."""
    release = root / "etc/os-release"
    if not release.is_file():
        return ""
    lines = (line.partition("=") for line in release.read_text(encoding="utf-8").splitlines())
    values = {key: value.strip("\"'") for key, _, value in lines}
    return "-".join(values[key] for key in ("ID", "VERSION_ID") if key in values)


def read(root: Path, prefix: str) -> Contents:
    """Read all packages of an image."""
    environment = root / prefix.lstrip("/")
    conda, files = conda_packages(environment)
    return Contents(
        conda=conda,
        pypi=pypi_packages(environment, files),
        debian=list(debian_packages(root)),
        distribution=distribution(root),
    )


if __name__ == "__main__":
    print(json.dumps(asdict(read(Path(sys.argv[1]), sys.argv[2]))))
