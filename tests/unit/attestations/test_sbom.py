import json
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.attestations.sbom import components, differences, missing, of_package
from pipeline.locks.lockfile import Package, read_packages
from pipeline.scripts import sbom
from pipeline.scripts.messages import Component, Contents, Installed, Sbom
from tests.unit.lockfiles import CHANNEL, FILES, conda, pypi, write
from tests.unit.locks.test_lockfile import OLD

ROOT = Path(__file__).parents[3]
NUMPY = Package(
    "conda", "numpy", "2.1.0", "py312h_0", f"{CHANNEL}/linux-64/numpy-2.1.0-py312h_0.conda", sha256="a" * 64, size=1,
    license="BSD-3-Clause",
)  # fmt: skip
FOO = Package("pypi", "foo-bar", "1.0", url=f"{FILES}/foo_bar-1.0-py3-none-any.whl", sha256="b" * 64)
BASH = Component(
    type="deb", namespace="debian", name="bash", version="5.2.15-2+b1",
    qualifiers={"arch": "amd64", "distro": "debian-12", "upstream": ""},
)  # fmt: skip
EMPTY = Contents(environment=(), elsewhere=(), system=(), distribution="", rpm="")


def installed(package: Package, **changed: str | None) -> Installed:
    """A package as the image has it."""
    fields = {"kind": package.kind, "name": package.name, "version": package.version, "build": package.build}
    return Installed(**{**fields, "url": package.url, "sha256": package.sha256, **changed})  # type: ignore[arg-type]


def contents(*packages: Installed) -> Contents:
    """The contents of an image of Debian 12."""
    return replace(EMPTY, environment=packages, system=(BASH,), distribution="debian-12")


def document(form: str, lines: list[Component]) -> dict[str, list[dict[str, object]]]:
    """The document of some lines, which its validator accepts."""
    bill = Sbom(name="small", version="1" * 40, time=1770091506, components=lines)
    text, problems = sbom.FORMATS[form](bill)
    assert problems == []
    found: dict[str, list[dict[str, object]]] = json.loads(text)
    return found


def _named(lines: list[dict[str, object]], name: str) -> dict[str, object]:
    return next(line for line in lines if line["name"] == name)


def test_an_image_that_has_what_was_locked_is_accepted() -> None:
    """Names of PyPI may be spelt otherwise, and a hash that is not written down is not compared."""
    found = contents(installed(NUMPY), installed(FOO, name="Foo.Bar", sha256=None))
    assert differences([NUMPY, FOO, Package("virtual", "__cuda", "12.8")], found) == []


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (contents(installed(FOO)), "numpy is locked, and not there"),
        (contents(installed(NUMPY)), "foo-bar is locked, and not there"),
        (contents(installed(NUMPY), installed(NUMPY, name="Extra"), installed(FOO)), "extra 2.1.0 is there, and not locked"),
        (contents(installed(NUMPY, version="2.0"), installed(FOO)), "numpy is locked at 2.1.0 py312h_0, and there at 2.0 py312h_0"),
        (contents(installed(NUMPY, build="other"), installed(FOO)), "numpy is locked at 2.1.0 py312h_0, and there at 2.1.0 other"),
        (contents(installed(NUMPY), installed(FOO, version="2")), "foo-bar is locked at 1.0, and there at 2"),
        (contents(installed(NUMPY, sha256="c" * 64), installed(FOO)), "numpy has another sha256 than is locked"),
    ],
    ids=["missing", "missing-pypi", "extra", "version", "build", "version-pypi", "hash"],
)  # fmt: skip
def test_each_difference_is_a_failure(found: Contents, problem: str) -> None:
    """Whatever was added, removed or replaced after the lock was installed."""
    assert differences([NUMPY, FOO], found) == [problem]


def test_a_line_says_where_a_package_is_from() -> None:
    """By the parts of a package URL."""
    line = of_package(NUMPY)
    assert line is not None
    assert line.qualifiers == {"build": "py312h_0", "channel": "conda-forge", "subdir": "linux-64", "type": "conda"}
    assert of_package(Package("virtual", "__cuda", "12.8")) is None
    source = of_package(Package("conda", "tool", "1.0", url="./tool"))
    assert source is not None
    assert source.url == ""


def test_what_the_lock_does_not_say_is_taken_from_the_image() -> None:
    """Locks have no licences of PyPI's packages; their metadata has."""
    lines = components([FOO], contents(installed(FOO, name="Foo.Bar", license="MIT")))
    assert [(line.type, line.name, line.license) for line in lines] == [
        ("deb", "bash", None),
        ("pypi", "foo-bar", "MIT"),
    ]


def test_packages_outside_of_the_environment_are_listed_once() -> None:
    """Those of conda and pip as in a lock; one that is in the lock, too, is the locked one."""
    elsewhere = [installed(NUMPY, name="NumPy"), installed(FOO, name="Foo_Bar", sha256=None), installed(FOO)]
    found = replace(EMPTY, elsewhere=elsewhere, system=(BASH,), distribution="debian-12")
    lines = components([FOO], found)
    assert [sbom.package_url(line) for line in lines] == [
        "pkg:conda/numpy@2.1.0?build=py312h_0&channel=conda-forge&subdir=linux-64&type=conda",
        "pkg:deb/debian/bash@5.2.15-2%2Bb1?arch=amd64&distro=debian-12",
        "pkg:pypi/foo-bar@1.0",
    ]
    assert lines[2].sha256 == FOO.sha256
    assert len(document("cyclonedx", lines)["components"]) == len(lines)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (contents(), ""),
        (EMPTY, "the packages of its distribution cannot be listed: it has no database of dpkg, apk or RPM; build it "),
        (
            replace(EMPTY, distribution="arch", elsewhere=(installed(FOO),)),
            "the packages of its distribution (arch) cannot be listed: it has no database of dpkg, apk or RPM; ",
        ),
        (
            replace(EMPTY, distribution="fedora-43", rpm="/usr/lib/sysimage/rpm/rpmdb.sqlite"),
            "the packages of its distribution (fedora-43) cannot be listed: its RPM database "
            "/usr/lib/sysimage/rpm/rpmdb.sqlite lists none; ",
        ),
    ],
    ids=["debian", "nothing", "another", "rpm"],
)
def test_an_image_without_packages_of_a_distribution_has_no_sbom(found: Contents, message: str) -> None:
    """Each image has a shell and programs of some distribution, so an SBOM without any of them is wrong."""
    assert missing(found).startswith(message)
    assert bool(missing(found)) is bool(message)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("./tool", ""),
        ("file:///app/tool", ""),
        ("git+https://github.com/o/r@main#0123", "git+https://github.com/o/r@main#0123"),
        ("https://host/foo-1.0-py3-none-any.whl", "https://host/foo-1.0-py3-none-any.whl"),
    ],
)
def test_a_package_by_path_has_no_address(url: str, address: str) -> None:
    """Its folder is in no registry; what is fetched from anywhere has the address that it is fetched from."""
    found = of_package(Package("pypi", "foo", "1.0", url=url))
    assert found is not None
    assert found.url == address


def test_a_version_that_is_known_when_built_is_taken_from_the_image() -> None:
    """The lock of a package by path has none, and that is no difference."""
    unknown = replace(FOO, version="", url="./foo")
    there = contents(installed(FOO, name="Foo.Bar"))
    assert differences([unknown], there) == []
    assert [line.version for line in components([unknown], there) if line.type == "pypi"] == [FOO.version]


def test_cyclonedx_has_everything() -> None:
    """URL, version, hash, licence and source of each package, and that the image has them."""
    found = document("cyclonedx", components([NUMPY], contents(installed(NUMPY))))
    bash, numpy = (_named(found["components"], name) for name in ("bash", "numpy"))
    assert bash["purl"] == "pkg:deb/debian/bash@5.2.15-2%2Bb1?arch=amd64&distro=debian-12"
    assert numpy["purl"] == ("pkg:conda/numpy@2.1.0?build=py312h_0&channel=conda-forge&subdir=linux-64&type=conda")
    assert numpy["hashes"] == [{"alg": "SHA-256", "content": "a" * 64}]
    assert "BSD-3-Clause" in json.dumps(numpy["licenses"])
    assert numpy["externalReferences"] == [{"type": "distribution", "url": NUMPY.url}]
    image = next(line for line in found["dependencies"] if line["ref"] == "image")
    assert image["dependsOn"] == sorted([str(bash["purl"]), str(numpy["purl"])])


def test_spdx_has_everything() -> None:
    """The same, in the other format's words."""
    found = document("spdx", components([NUMPY], contents(installed(NUMPY))))
    image, bash, numpy = (_named(found["packages"], name) for name in ("small", "bash", "numpy"))
    assert (image["name"], image["versionInfo"]) == ("small", "1" * 40)
    assert bash["licenseDeclared"] == "NOASSERTION"
    assert (numpy["versionInfo"], numpy["licenseDeclared"], numpy["downloadLocation"]) == (
        "2.1.0",
        "BSD-3-Clause",
        NUMPY.url,
    )
    assert numpy["checksums"] == [{"algorithm": "SHA256", "checksumValue": "a" * 64}]
    contained = [
        line["relatedSpdxElement"] for line in found["relationships"] if line["relationshipType"] == "CONTAINS"
    ]
    assert set(contained) == {bash["SPDXID"], numpy["SPDXID"]}


@pytest.mark.parametrize("form", ["cyclonedx", "spdx"])
def test_the_same_bill_gives_the_same_bytes(form: str) -> None:
    """Its time is the commit's and its id its own, so that a document can be found by its digest."""
    lines = components([NUMPY, FOO], contents(installed(NUMPY)))
    bill = Sbom(name="small", version="1", time=1770091506, components=lines)
    first, second = (sbom.FORMATS[form](bill)[0] for _ in range(2))
    assert first == second
    assert "2026-02-03T04:05:06" in first


LICENSES = ["MIT", "BSD-3-Clause AND MIT", "MPL-2.0 and MIT", "GPL-3.0-only WITH GCC-exception-3.1", "MIT/X11 Derivative", "BSD-like", "LicenseRef-Qhull", "not SPDX at all, (see", "()", "é"]  # fmt: skip


@pytest.mark.parametrize("form", ["cyclonedx", "spdx"])
def test_any_licence_is_written_down(form: str) -> None:
    """Ids and expressions as they are, anything else by its own text."""
    lines = [
        Component(type="conda", name=f"p{number}", version="1", qualifiers={}, license=text)
        for number, text in enumerate(LICENSES)
    ]
    text = json.dumps(document(form, lines), ensure_ascii=False).lower()
    assert [name for name in LICENSES if name.lower() not in text] == []


@pytest.mark.parametrize("form", ["cyclonedx", "spdx"])
@pytest.mark.parametrize(
    "text",
    [
        OLD.format(version=4),
        write([conda("zlib-1.3.1-h0_0", sha256=None, license=None, size=None), pypi("foo", "1.0")]),
        write([conda("_x--Y.z_1-1!2.0a-h_0")]),
        write({"default": {}}).replace("packages:\npackages:", "packages: {}\npackages: []"),
        (ROOT / "ml_platform/pixi.lock").read_text(),
    ],
    ids=["old", "nothing known", "unusual", "empty", "ml_platform"],
)
def test_every_lock_gives_a_document(tmp_path: Path, text: str, form: str) -> None:
    """Each validator accepts what comes of old, empty, unusual and real locks."""
    path = tmp_path / "pixi.lock"
    path.write_text(text)
    locked = [package for place in read_packages(path, "", "").values() for package in place.values()]
    found = document(form, components(locked, EMPTY))
    wanted = sum(package.kind != "virtual" for package in locked)
    assert len(found.get("components", [])) == wanted if form == "cyclonedx" else len(found["packages"]) == wanted + 1


@pytest.mark.parametrize(
    "url",
    [
        "https://packages.lab/simple/foo-1.0-py3-none-any.whl",
        "https://packages/simple/foo-1.0-py3-none-any.whl",
        "http://10.0.0.1:8080/foo-1.0.tar.gz",
        "git+https://github.com/o/r?subdirectory=a&rev=1#0123456789",
        "git+ssh://git@host/o/r.git#0123456789",
    ],
)
@pytest.mark.parametrize("form", sbom.FORMATS)
def test_a_package_may_come_from_anywhere(form: str, url: str) -> None:
    """A format without a field for an address gives a document without it; the package URL has git's."""
    line = of_package(replace(FOO, url=url))
    assert line is not None
    assert line.qualifiers == ({"vcs_url": url} if url.startswith("git") else {})
    assert _named(document(form, [line])["components" if form == "cyclonedx" else "packages"], "foo-bar")
