import json
from pathlib import Path

from pipeline.scripts.contents import read
from pipeline.scripts.messages import Contents, Debian

PREFIX = "/app/.pixi/envs/default"
SITE = "lib/python3.12/site-packages"


def write(root: Path, name: str, text: str) -> None:
    """Write a file of an image."""
    file = root / name.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def test_an_empty_image_has_no_packages(tmp_path: Path) -> None:
    """Nothing that is written down is nothing, and no failure."""
    assert read(tmp_path, PREFIX) == Contents(conda=[], pypi=[], debian=[], distribution="")


def test_conda_packages_are_found(tmp_path: Path) -> None:
    """By what the installer wrote down of each."""
    meta = {"name": "zlib", "version": "1.3", "build": "h_0", "url": "https://a/zlib.conda", "sha256": "a", "files": []}
    write(tmp_path, f"{PREFIX}/conda-meta/zlib-1.3-h_0.json", json.dumps(meta))
    write(tmp_path, f"{PREFIX}/conda-meta/history", "")
    (found,) = read(tmp_path, PREFIX).conda
    assert (found.name, found.version, found.build, found.sha256) == ("zlib", "1.3", "h_0", "a")
    assert (found.md5, found.license) == (None, None)


def test_pypi_packages_are_those_that_conda_did_not_bring(tmp_path: Path) -> None:
    """A Python package of conda has the same metadata, and is listed among conda's files."""
    write(tmp_path, f"{PREFIX}/{SITE}/requests-2.dist-info/METADATA", "Name: requests\nVersion: 2\n")
    write(
        tmp_path,
        f"{PREFIX}/{SITE}/Foo_Bar-1.dist-info/METADATA",
        "Name: Foo.Bar\nVersion: 1\nLicense: MIT\n\nName: x\n",
    )
    files = [f"{SITE}/requests-2.dist-info/METADATA"]
    meta = {"name": "requests", "version": "2", "build": "py_0", "files": files}
    write(tmp_path, f"{PREFIX}/conda-meta/requests-2-py_0.json", json.dumps(meta))
    (found,) = read(tmp_path, PREFIX).pypi
    assert (found.name, found.version, found.license) == ("Foo.Bar", "1", "MIT")


def test_conda_forge_s_link_to_python_makes_no_packages(tmp_path: Path) -> None:
    """Its Python 3.12 has lib/python3.1, by which each package of conda would be another one, and each of PyPI two."""
    for name in ("ours", "condas"):
        write(tmp_path, f"{PREFIX}/{SITE}/{name}-1.dist-info/METADATA", f"Name: {name}\nVersion: 1\n")
    (tmp_path / PREFIX.lstrip("/") / "lib/python3.1").symlink_to("python3.12")
    meta = {"name": "condas", "version": "1", "build": "0", "files": [f"{SITE}/condas-1.dist-info/METADATA"]}
    write(tmp_path, f"{PREFIX}/conda-meta/condas-1-0.json", json.dumps(meta))
    assert [package.name for package in read(tmp_path, PREFIX).pypi] == ["ours"]


def test_the_text_of_a_licence_is_not_its_name(tmp_path: Path) -> None:
    """The expression is taken where there is one, and a text of several lines is not."""
    metadata = "Name: {0}\nVersion: 1\nLicense: MIT\n  Permission is hereby granted\n{1}"
    write(tmp_path, f"{PREFIX}/{SITE}/a-1.dist-info/METADATA", metadata.format("a", "License-Expression: MIT\n"))
    write(tmp_path, f"{PREFIX}/{SITE}/b-1.dist-info/METADATA", metadata.format("b", ""))
    assert [package.license for package in read(tmp_path, PREFIX).pypi] == ["MIT", None]


def test_packages_of_the_distribution_are_found(tmp_path: Path) -> None:
    """Those that are installed, with their source; what was removed is not there."""
    write(
        tmp_path,
        "/var/lib/dpkg/status",
        "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nSource: glibc (2.36-9)\n"
        "Version: 2.36-9+deb12u10\n"
        "Description: C library\n Shared libraries.\n\n"
        "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n",
    )
    write(tmp_path, "/etc/os-release", 'ID=debian\nVERSION_ID="12"\n')
    found = read(tmp_path, PREFIX)
    assert found.distribution == "debian-12"
    assert found.debian == [Debian("libc6", "2.36-9+deb12u10", "amd64", source="glibc")]


def test_packages_of_an_image_without_a_package_manager_are_found(tmp_path: Path) -> None:
    """Such images have a file for each package."""
    write(tmp_path, "/var/lib/dpkg/status.d/base", "Package: base-files\nVersion: 12\nArchitecture: all\n")
    assert [package.name for package in read(tmp_path, PREFIX).debian] == ["base-files"]
