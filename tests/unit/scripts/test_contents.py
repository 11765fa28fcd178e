import json
from pathlib import Path

import pytest

from pipeline.scripts.contents import read
from pipeline.scripts.messages import Contents, Installed

PREFIX = "/app/.pixi/envs/default"
SITE = "lib/python3.12/site-packages"


def write(root: Path, name: str, text: str) -> None:
    """Write a file of an image."""
    file = root / name.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def pypi(root: Path) -> list[Installed]:
    """The Python packages of an image's environment."""
    return [package for package in read(root, PREFIX).environment if package.kind == "pypi"]


def test_an_empty_image_has_no_packages(tmp_path: Path) -> None:
    """Nothing that is written down is nothing, and no failure."""
    assert read(tmp_path, PREFIX) == Contents(environment=[], elsewhere=[], system=[], distribution="", rpm="")


def test_conda_packages_are_found(tmp_path: Path) -> None:
    """By what the installer wrote down of each."""
    meta = {"name": "zlib", "version": "1.3", "build": "h_0", "url": "https://a/zlib.conda", "sha256": "a", "files": []}
    write(tmp_path, f"{PREFIX}/conda-meta/zlib-1.3-h_0.json", json.dumps(meta))
    write(tmp_path, f"{PREFIX}/conda-meta/history", "")
    (found,) = read(tmp_path, PREFIX).environment
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
    (found,) = pypi(tmp_path)
    assert (found.name, found.version, found.license) == ("Foo.Bar", "1", "MIT")


def test_conda_forge_s_link_to_python_makes_no_packages(tmp_path: Path) -> None:
    """Its Python 3.12 has lib/python3.1, by which each package of conda would be another one, and each of PyPI two."""
    for name in ("ours", "condas"):
        write(tmp_path, f"{PREFIX}/{SITE}/{name}-1.dist-info/METADATA", f"Name: {name}\nVersion: 1\n")
    (tmp_path / PREFIX.lstrip("/") / "lib/python3.1").symlink_to("python3.12")
    meta = {"name": "condas", "version": "1", "build": "0", "files": [f"{SITE}/condas-1.dist-info/METADATA"]}
    write(tmp_path, f"{PREFIX}/conda-meta/condas-1-0.json", json.dumps(meta))
    assert [package.name for package in pypi(tmp_path)] == ["ours"]


def test_the_text_of_a_licence_is_not_its_name(tmp_path: Path) -> None:
    """The expression is taken where there is one, and a text of several lines is not."""
    metadata = "Name: {0}\nVersion: 1\nLicense: MIT\n  Permission is hereby granted\n{1}"
    write(tmp_path, f"{PREFIX}/{SITE}/a-1.dist-info/METADATA", metadata.format("a", "License-Expression: MIT\n"))
    write(tmp_path, f"{PREFIX}/{SITE}/b-1.dist-info/METADATA", metadata.format("b", ""))
    assert [package.license for package in pypi(tmp_path)] == ["MIT", None]


def test_what_pip_installed_outside_of_the_environment_is_found(tmp_path: Path) -> None:
    """In the system's Python, in a virtual environment, in a folder of its own; also by the older formats."""
    write(tmp_path, "/usr/local/lib/python3.12/site-packages/six-1.16.0.dist-info/METADATA", "Name: six\nVersion: 1\n")
    # uv marks its virtual environments with the file that marks caches.
    write(tmp_path, "/app/.venv/CACHEDIR.TAG", "")
    write(tmp_path, "/app/.venv/pyvenv.cfg", "")
    write(tmp_path, "/app/.venv/lib/python3.12/site-packages/tool-2.dist-info/METADATA", "Name: tool\nVersion: 2\n")
    write(tmp_path, "/app/__init__.py", "")
    write(tmp_path, "/opt/target/old-3.egg-info/PKG-INFO", "Name: old\nVersion: 3\n")
    write(tmp_path, "/usr/lib/python3/dist-packages/oldest-4.egg-info", "Name: oldest\nVersion: 4\n")
    found = {(package.name, package.version) for package in read(tmp_path, PREFIX).elsewhere}
    assert found == {("six", "1"), ("tool", "2"), ("old", "3"), ("oldest", "4")}


def test_what_is_not_installed_is_not_listed(tmp_path: Path) -> None:
    """Copies within another package, caches, leftovers of pip, and metadata without a name or version."""
    site = "/usr/local/lib/python3.12/site-packages"
    inner = "dist-info/METADATA"
    for folder in (
        f"{site}/setuptools/_vendor/wheel-1.{inner}",
        f"/opt/target/other/_vendor/wheel-1.{inner}",
        f"/root/.cache/uv/archive-v0/abc/wheel-1.{inner}",
        f"/opt/conda/pkgs/wheel-1-py_0/site-packages/wheel-1.{inner}",
        f"{site}/~heel-1.{inner}",
    ):
        write(tmp_path, folder, "Name: wheel\nVersion: 1\n")
    write(tmp_path, f"/opt/target/other-1.{inner}", "Name: other\nVersion: 1\n")
    write(tmp_path, "/opt/target/other/__init__.py", "")
    write(tmp_path, "/root/.cache/uv/CACHEDIR.TAG", "")
    write(tmp_path, "/opt/conda/pkgs/wheel-1-py_0/info/index.json", "{}")
    write(tmp_path, f"{site}/nameless-1.{inner}", "Summary: none\n")
    assert [package.name for package in read(tmp_path, PREFIX).elsewhere] == ["other"]


def test_python_packages_of_the_distribution_are_listed_once(tmp_path: Path) -> None:
    """Metadata that dpkg, apk or rpm has put there belongs to their packages, and is none of pip's."""
    site = "/usr/lib/python3.9/site-packages"
    for name in ("by-dpkg", "by-apk", "by-rpm", "by-pip"):
        write(tmp_path, f"{site}/{name}.dist-info/METADATA", f"Name: {name}\nVersion: 1\n")
    write(tmp_path, "/var/lib/dpkg/info/a.list", f"/.\n{site}/by-dpkg.dist-info\n")
    write(tmp_path, "/lib/apk/db/installed", f"P:a\nV:1\nF:{site[1:]}/by-apk.dist-info\nR:METADATA\n\n")
    found = read(tmp_path, PREFIX, f"F\t{site}/by-rpm.dist-info/METADATA\n")
    assert [package.name for package in found.elsewhere] == ["by-pip"]


def test_conda_packages_outside_of_the_environment_are_found(tmp_path: Path) -> None:
    """With their Python packages under one name, and without the credentials of their channel."""
    prefix = "/opt/conda"
    meta = {
        "name": "requests", "version": "2", "build": "py_0", "files": [f"{SITE}/requests-2.dist-info/METADATA"],
        "url": "https://me:secret@host/t/secret/lab/noarch/requests-2-py_0.conda",
    }  # fmt: skip
    write(tmp_path, f"{prefix}/conda-meta/requests-2-py_0.json", json.dumps(meta))
    write(tmp_path, f"{prefix}/{SITE}/requests-2.dist-info/METADATA", "Name: requests\nVersion: 2\n")
    write(tmp_path, f"{prefix}/{SITE}/six-1.dist-info/METADATA", "Name: six\nVersion: 1\n")
    found = read(tmp_path, "").elsewhere
    assert [(package.kind, package.name) for package in found] == [("conda", "requests"), ("pypi", "six")]
    assert found[0].url == "https://host/lab/noarch/requests-2-py_0.conda"


def test_a_record_of_conda_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """An SBOM without that package would not be complete."""
    write(tmp_path, "/opt/conda/conda-meta/a-1-0.json", "")
    with pytest.raises(ValueError, match=r"opt/conda/conda-meta/a-1-0\.json is not the record of a conda package$"):
        read(tmp_path, PREFIX)


def test_packages_of_the_distribution_are_found(tmp_path: Path) -> None:
    """Those of each package manager, with the distribution; a database that only rpm can read is named."""
    write(tmp_path, "/var/lib/dpkg/status", "Package: a\nVersion: 1\n")
    write(tmp_path, "/lib/apk/db/installed", "P:b\nV:1\n\n")
    write(tmp_path, "/var/lib/rpm/rpmdb.sqlite", "")
    write(tmp_path, "/etc/os-release", 'ID=debian\nVERSION_ID="12"\n')
    found = read(tmp_path, PREFIX, "P\tc\t(none)\t1-1\tnoarch\t(none)\tMIT\n")
    assert [(package.type, package.name) for package in found.system] == [("deb", "a"), ("apk", "b"), ("rpm", "c")]
    assert (found.distribution, found.rpm) == ("debian-12", "/var/lib/rpm/rpmdb.sqlite")
