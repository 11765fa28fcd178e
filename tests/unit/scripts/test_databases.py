"""Packages of a distribution are read as dpkg, apk and rpm write them down."""

from pathlib import Path
from typing import Final

import pytest

from pipeline.scripts.databases import (
    Distribution,
    apk_files,
    apk_packages,
    copied_packages,
    distribution,
    dpkg_files,
    dpkg_packages,
    rpm_database,
    rpm_files,
    rpm_packages,
)
from pipeline.scripts.messages import RPM_QUERY
from pipeline.scripts.sbom import package_url

DEBIAN: Final = Distribution("debian", "12")
#: Two packages of Alpine, as apk 2 and 3 write them: letters in both cases, and folders with the files in them.
APK: Final = """\
C:Q1nDh7tCFFo8rRMVDpr9mmeOSNLJw=
P:musl
V:1.2.5-r9
A:x86_64
S:407278
I:667648
T:the musl c library (libc) implementation
U:https://musl.libc.org/
L:MIT
o:musl
m:Natanael Copa <ncopa@alpinelinux.org>
t:1739998843
p:so:libc.musl-x86_64.so.1=1
F:lib
R:ld-musl-x86_64.so.1
a:0:0:755
Z:Q1ZQpG0bZxGmFqvrmxaJEKrxlk7qM=

C:Q1Vp6kS0yqrHvMrVbRPdYQkjmT4bU=
P:py3-yaml-pyc
V:6.0.2-r0
A:x86_64
L:MIT AND Apache-2.0
o:py3-yaml
F:usr
F:usr/lib
F:usr/lib/python3.12/site-packages/PyYAML-6.0.2.dist-info
R:METADATA
R:RECORD

"""
#: Packages of an image of CBL-Mariner 2.0, and a key, as rpm 4.18 lists them with `RPM_QUERY`.
RPM: Final = """\
P\tglibc\t(none)\t2.34-2.cm2\tx86_64\tglibc-2.34-2.cm2.src.rpm\tBSD AND GPLv2+ AND Inner-Net AND ISC AND LGPLv2+ AND MIT
F\t/lib64/ld-linux-x86-64.so.2
P\tca-certificates-base\t1\t2.0.0-1.cm2\tnoarch\tca-certificates-2.0.0-1.cm2.src.rpm\tMPLv2.0
F\t/usr/lib/python3.9/site-packages/six-1.16.0.dist-info/METADATA
P\tgpg-pubkey\t(none)\t3135ce90-5e6fda74\t(none)\t(none)\tpubkey
"""


def write(root: Path, name: str, text: str) -> None:
    """Write a file of an image."""
    file = root / name.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def test_packages_of_debian_are_found(tmp_path: Path) -> None:
    """Those that are installed, with their source, and the files of all."""
    write(
        tmp_path,
        "/var/lib/dpkg/status",
        "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nSource: glibc (2.36-9)\n"
        "Version: 2.36-9+deb12u10\nDescription: C library\n Shared libraries.\n\n",
    )
    write(tmp_path, "/var/lib/dpkg/info/libc6:amd64.list", "/.\n/lib/x86_64-linux-gnu/libc.so.6\n")
    (found,) = dpkg_packages(tmp_path, DEBIAN)
    assert package_url(found) == "pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=amd64&distro=debian-12&upstream=glibc"
    assert "/lib/x86_64-linux-gnu/libc.so.6" in list(dpkg_files(tmp_path))


@pytest.mark.parametrize(
    ("state", "found"),
    [
        ("install ok installed", ["a"]),
        ("hold ok unpacked", ["a"]),
        ("install ok half-configured", ["a"]),
        ("install ok triggers-pending", ["a"]),
        ("install reinstreq half-installed", []),
        ("deinstall ok config-files", []),
        ("unknown ok not-installed", []),
    ],
)
def test_a_package_of_debian_is_there_if_all_its_files_are(tmp_path: Path, state: str, found: list[str]) -> None:
    """A package is not there if dpkg has not begun, was interrupted, or has left the configuration files alone."""
    write(tmp_path, "/var/lib/dpkg/status", f"Package: a\nStatus: {state}\nVersion: 1\n")
    assert [package.name for package in dpkg_packages(tmp_path, DEBIAN)] == found


def test_packages_of_an_image_without_a_package_manager_are_found(tmp_path: Path) -> None:
    """Distroless images have a file for each package, and its hashes beside it."""
    write(tmp_path, "/var/lib/dpkg/status.d/base", "Package: base-files\nVersion: 12\nArchitecture: all\n")
    write(tmp_path, "/var/lib/dpkg/status.d/base.md5sums", "d41d8cd98f00b204e9800998ecf8427e  etc/debian_version\n")
    assert [package.name for package in dpkg_packages(tmp_path, DEBIAN)] == ["base-files"]


@pytest.mark.parametrize("path", ["lib/apk/db/installed", "usr/lib/apk/db/installed"])
def test_packages_of_alpine_are_found(tmp_path: Path, path: str) -> None:
    """Those with their licence and source, and the files of all; `p:` and `P:` are fields of their own."""
    write(tmp_path, path, APK)
    musl, yaml = apk_packages(tmp_path, Distribution("alpine", "3.21.3"))
    assert package_url(musl) == "pkg:apk/alpine/musl@1.2.5-r9?arch=x86_64&distro=alpine-3.21.3"
    assert (musl.license, yaml.license) == ("MIT", "MIT AND Apache-2.0")
    assert yaml.qualifiers["upstream"] == "py3-yaml"
    assert list(apk_files(tmp_path)) == [
        "lib/ld-musl-x86_64.so.1",
        "usr/lib/python3.12/site-packages/PyYAML-6.0.2.dist-info/METADATA",
        "usr/lib/python3.12/site-packages/PyYAML-6.0.2.dist-info/RECORD",
    ]


def test_packages_of_rpm_are_read_from_its_output() -> None:
    """Those with epoch, source and licence; an imported key is an entry of the database, and no package."""
    found = list(rpm_packages(RPM, Distribution("mariner", "2.0")))
    assert [package_url(package) for package in found] == [
        "pkg:rpm/mariner/glibc@2.34-2.cm2?arch=x86_64&distro=mariner-2.0&upstream=glibc-2.34-2.cm2.src.rpm",
        "pkg:rpm/mariner/ca-certificates-base@2.0.0-1.cm2?arch=noarch&distro=mariner-2.0&epoch=1"
        "&upstream=ca-certificates-2.0.0-1.cm2.src.rpm",
    ]
    assert found[1].license == "MPLv2.0"
    assert list(rpm_files(RPM))[1] == "/usr/lib/python3.9/site-packages/six-1.16.0.dist-info/METADATA"


def test_the_output_of_rpm_has_as_many_fields_as_are_read() -> None:
    """A package is a line of the fields that the reader takes."""
    assert RPM_QUERY.partition(r"\n")[0].count(r"\t") == RPM.partition("\n")[0].count("\t")


@pytest.mark.parametrize(
    "path", ["usr/lib/sysimage/rpm/rpmdb.sqlite", "var/lib/rpm/Packages", "usr/lib/sysimage/rpm/Packages.db"]
)
def test_a_database_of_rpm_is_found_in_each_format(tmp_path: Path, path: str) -> None:
    """Fedora's, that of CentOS 7, and SUSE's."""
    assert rpm_database(tmp_path) == ""
    write(tmp_path, path, "")
    assert rpm_database(tmp_path) == f"/{path}"


@pytest.mark.parametrize(
    ("release", "vendor", "name"),
    [
        ('ID="rhel"\nVERSION_ID="9.4"\n', "redhat", "rhel-9.4"),
        ('ID="almalinux"\nVERSION_ID="9.4"\n', "almalinux", "almalinux-9.4"),
        ('ID="opensuse-leap"\nVERSION_ID="15.6"\n', "opensuse", "opensuse-leap-15.6"),
        ("ID=debian\n", "debian", "debian"),
    ],
)
def test_a_package_url_names_the_vendor(tmp_path: Path, release: str, vendor: str, name: str) -> None:
    """By the names that vulnerability databases look it up with."""
    write(tmp_path, "/etc/os-release", release)
    package = distribution(tmp_path).component("rpm", "bash", "5.1.8-9.el9", "x86_64", "")
    assert (package.namespace, package.qualifiers["distro"]) == (vendor, name)


def test_a_link_out_of_the_image_is_not_followed(tmp_path: Path) -> None:
    """An absolute link means a path in the image; followed here, it would name the packages of this machine."""
    outside, image = tmp_path / "machine/os-release", tmp_path / "image"
    write(tmp_path, "machine/os-release", "ID=other\n")
    write(image, "usr/lib/os-release", "ID=fedora\n")
    (image / "etc").mkdir()
    (image / "etc/os-release").symlink_to(outside)
    assert str(distribution(image)) == "fedora"


def test_copied_files_are_of_their_packages(tmp_path: Path) -> None:
    """pixi's runtime image has no database, and says which package of Wolfi each file is from."""
    assert list(copied_packages(tmp_path)) == []
    file = tmp_path / "usr/share/conda-runtime/origins.tsv"
    file.parent.mkdir(parents=True)
    rows = [("/lib/libc.so.6", "glibc-2.42-r2"), ("/lib/libm.so.6", "glibc-2.42-r2"), ("/bin/bash", "bash-5.3-r13")]
    more = [("/lib/ld-linux-x86-64.so.2", "ld-linux-2.42-r2"), ("/a", "nothing")]
    file.write_text("".join(f"{path}\t/usr{path}\t{package}\n" for path, package in rows + more))
    assert [package_url(package) for package in copied_packages(tmp_path)] == [
        "pkg:apk/wolfi/bash@5.3-r13?distro=wolfi",
        "pkg:apk/wolfi/glibc@2.42-r2?distro=wolfi",
        "pkg:apk/wolfi/ld-linux@2.42-r2?distro=wolfi",
    ]
