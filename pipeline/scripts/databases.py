"""Packages of an image's distribution, from the database of its package manager: dpkg, apk or RPM.

The databases of dpkg and apk are text. RPM's has one of three binary formats, which the image's own rpm reads: its
output for `RPM_QUERY` is read here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path
from typing import Final

from pipeline.scripts.messages import Component

#: Paths of apk's database; the second is that of distributions whose /lib is a link into /usr, such as Wolfi.
APK: Final = ("lib/apk/db/installed", "usr/lib/apk/db/installed")
#: File of ghcr.io/prefix-dev/conda-runtime, whose files were copied out of Wolfi: their paths, and apk's packages.
ORIGINS: Final = "usr/share/conda-runtime/origins.tsv"
#: Folders of RPM's database, and its file there in each format: SQLite, Berkeley DB, ndb.
RPM_FOLDERS: Final = ("usr/lib/sysimage/rpm", "usr/share/rpm", "var/lib/rpm")
RPM_FILES: Final = ("rpmdb.sqlite", "Packages", "Packages.db")
#: States of a package in dpkg's database in which its files are not all there; "unpacked" is none of them.
NOT_INSTALLED: Final = ("not-installed", "config-files", "half-installed")
#: Vendors in package URLs whose name is not the distribution's id.
VENDORS: Final = {"rhel": "redhat", "opensuse-leap": "opensuse", "opensuse-tumbleweed": "opensuse"}
#: Entries of RPM's database that are no packages, but keys which the user has imported.
RPM_KEY: Final = "gpg-pubkey"


@dataclass(frozen=True)
class Distribution:
    """A distribution by the id and version of its os-release; both are empty where it has none."""

    id: str = ""
    version: str = ""

    def __str__(self) -> str:
        return "-".join(filter(None, (self.id, self.version)))

    def component(self, kind: str, name: str, version: str, arch: str, upstream: str, **other: str) -> Component:
        """Return a package as a component.

        Args:
            kind: type of the package URL.
            name: name of the package.
            version: its version.
            arch: its architecture.
            upstream: the source package that it was built from, if that has another name.
            other: license, and epoch.
        """
        license_ = other.pop("license", None)
        return Component(
            type=kind,
            namespace=VENDORS.get(self.id, self.id),
            name=name,
            version=version,
            qualifiers={"arch": arch, "distro": str(self), "upstream": upstream, **other},
            license=license_ or None,
        )


def distribution(root: Path) -> Distribution:
    """Read the os-release of an image."""
    release = find(root, "etc/os-release", "usr/lib/os-release")
    if not release:
        return Distribution()
    lines = (line.partition("=") for line in read_text(release).splitlines())
    values = {key: value.strip("\"'") for key, _, value in lines}
    return Distribution(values.get("ID", ""), values.get("VERSION_ID", ""))


def dpkg_packages(root: Path, of: Distribution) -> Iterator[Component]:
    """Read the packages that dpkg has installed; distroless images have one file for each instead of one for all."""
    status = find(root, "var/lib/dpkg/status")
    files = [status] if status else sorted((root / "var/lib/dpkg/status.d").glob("*"))
    for file in files:
        for paragraph in read_text(file).split("\n\n"):
            fields = HeaderParser().parsestr(paragraph.strip("\n"))
            name, state = fields["Package"], fields.get("Status", "installed").split()
            if name and fields["Version"] and state and state[-1] not in NOT_INSTALLED:
                source = (fields["Source"] or name).partition(" ")[0]
                upstream = source if source != name else ""
                yield of.component("deb", name, fields["Version"], fields.get("Architecture", ""), upstream)


def dpkg_files(root: Path) -> Iterator[str]:
    """Yield the paths of all files that dpkg has installed."""
    for file in (root / "var/lib/dpkg/info").glob("*.list"):
        yield from read_text(file).splitlines()


def apk_packages(root: Path, of: Distribution) -> Iterator[Component]:
    """Read the packages that apk has installed."""
    for record in _apk_records(root):
        fields = {line[:2]: line[2:] for line in record if line[:2] in {"P:", "V:", "A:", "L:", "o:"}}
        if {"P:", "V:"} <= fields.keys():
            name, origin = fields["P:"], fields.get("o:", "")
            upstream = origin if origin != name else ""
            license_ = fields.get("L:", "")
            yield of.component("apk", name, fields["V:"], fields.get("A:", ""), upstream, license=license_)


def apk_files(root: Path) -> Iterator[str]:
    """Yield the paths of all files that apk has installed: of each folder, the files in it follow."""
    for record in _apk_records(root):
        folder = ""
        for line in record:
            if line.startswith("F:"):
                folder = line[2:]
            elif line.startswith("R:"):
                yield f"{folder}/{line[2:]}"


def _apk_records(root: Path) -> Iterator[list[str]]:
    if database := find(root, *APK):
        yield from (record.splitlines() for record in read_text(database).split("\n\n"))


def copied_packages(root: Path) -> Iterator[Component]:
    """Read the packages of Wolfi that files of pixi's runtime image were copied from."""
    if origins := find(root, ORIGINS):
        # Each with version and revision: bash-5.3-r13.
        names = {line.rpartition("\t")[2] for line in read_text(origins).splitlines()}
        for name, version, revision in sorted(parts for each in names if len(parts := each.rsplit("-", 2)) == 3):  # noqa: PLR2004
            yield Distribution("wolfi").component("apk", name, f"{version}-{revision}", "", "")


def rpm_database(root: Path) -> str:
    """Return the path of an image's RPM database; empty if it has none."""
    names = (f"{folder}/{file}" for folder in RPM_FOLDERS for file in RPM_FILES)
    return next((f"/{name}" for name in names if find(root, name)), "")


def rpm_packages(listed: str, of: Distribution) -> Iterator[Component]:
    """Read the packages in rpm's output."""
    for line in listed.splitlines():
        kind, *fields = line.split("\t", 6)
        if kind == "P" and len(fields) == 6 and fields[0] != RPM_KEY:  # noqa: PLR2004  # as many as RPM_QUERY has
            name, *rest = ("" if field == "(none)" else field for field in fields)
            epoch, version, arch, upstream, license_ = rest
            yield of.component("rpm", name, version, arch, upstream, epoch=epoch, license=license_)


def rpm_files(listed: str) -> Iterator[str]:
    """Yield the paths of all files in rpm's output."""
    return (line[2:] for line in listed.splitlines() if line.startswith("F\t"))


def find(root: Path, *names: str) -> Path | None:
    """Return the first of some files that an image has; a link that leads out of the image is followed nowhere."""
    top = root.resolve()
    for name in names:
        path = (root / name).resolve()
        if path.is_relative_to(top) and path.is_file():
            return path
    return None


def read_text(path: Path) -> str:
    """Read a file of an image, whose text may be in any encoding."""
    return path.read_text(encoding="utf-8", errors="replace")
