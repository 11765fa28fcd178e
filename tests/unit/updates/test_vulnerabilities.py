from pathlib import Path

import pytest

from pipeline.locks.lockfile import Package
from pipeline.updates.vulnerabilities import AuditReport, Vulnerability, find_python, fixed_in, rounds
from tests.unit.lockfiles import conda, locked, write

ROOT = Path(__file__).parents[3]


def found(tmp_path: Path, *packages: tuple[str, str]) -> dict[tuple[str, str], str]:
    """The Python packages of a lock."""
    (tmp_path / "pixi.lock").write_text(write(packages))
    (tmp_path / "pixi.toml").write_text("")
    return find_python(locked(tmp_path).conda.values(), [])


def test_a_lock_says_what_pypi_calls_a_package(tmp_path: Path) -> None:
    """Then nothing is guessed: also not for a package of which it says that PyPI has none."""
    torch = conda("pytorch-2.1-h_0", purls="['pkg:pypi/Torch?source=mapping', 'pkg:conda/other@1']", depends="[python]")
    assert found(tmp_path, torch, conda("root-6-h_0", purls="[]", depends="[python]")) == {("torch", "2.1"): "pytorch"}


def test_what_depends_on_python_is_looked_up_by_its_name(tmp_path: Path) -> None:
    """As PyPI writes it, and without what conda-forge adds to some; a library is not looked up."""
    assert found(
        tmp_path,
        conda("typing_extensions-4.1-h_0", depends="['python >=3.9']"),
        conda("nbconvert-core-7.0-h_0", depends="[python]"),
        conda("numpy-2.1-py312_0", depends="['python_abi 3.12.* *_cp312', libblas]"),
        conda("openssl-3.0.1-h_0"),
        conda("_openmp_python-1.0-h_0", depends="[python]"),
        conda("python-3.12.1-h_0", depends="['python_abi 3.12.* *_cp312']"),
        conda("jpeg-9e-h_0", depends="[python]"),
    ) == {
        ("typing-extensions", "4.1"): "typing_extensions",
        ("nbconvert-core", "7.0"): "nbconvert-core",
        ("nbconvert", "7.0"): "nbconvert-core",
        ("numpy", "2.1"): "numpy",
    }


def test_packages_of_pypi_are_looked_up() -> None:
    """By name and version; one that is built from a folder has no version."""
    packages = [Package("pypi", "jinja2", "3.1.2"), Package("pypi", "own", "")]
    assert find_python([], packages) == {("jinja2", "3.1.2"): "jinja2"}


def test_the_real_lock_has_packages_of_python() -> None:
    """Of ml_platform's 504 packages about two in five."""
    packages = find_python(locked(ROOT / "ml_platform", "ml", "12.8").conda.values(), [])
    assert {"tensorflow", "jinja2", "nbconvert", "uproot"} <= {name for name, _ in packages}
    assert "openssl" not in packages.values()
    assert len(set(packages.values())) == 202


def test_two_versions_of_a_package_are_asked_about_apart() -> None:
    """pip-audit refuses them together; everything else is asked about at once."""
    pairs = {("a", "1"), ("a", "2"), ("b", "1")}
    assert rounds(pairs) == [[("a", "1"), ("b", "1")], [("a", "2")]]
    assert rounds([]) == []


@pytest.mark.parametrize(
    ("fixes", "version"), [(("2.0.5", "3.1.10", "3.1.9"), "3.1.9"), (("2.0.5",), ""), ((), ""), (("?", "4"), "4")]
)
def test_the_first_mended_version_is_told(fixes: tuple[str, ...], version: str) -> None:
    """Fixed versions of previous lines of releases are none."""
    assert fixed_in("3.1.2", Vulnerability(id="X-1", fix_versions=fixes)) == version


def test_what_pip_audit_prints_is_read() -> None:
    """Packages that it left out have no version."""
    text = (
        '{"dependencies": [{"name": "a", "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2"],'
        ' "aliases": ["CVE-1"]}]}, {"name": "b", "skip_reason": "local"}], "fixes": []}'
    )
    first, second = AuditReport.model_validate_json(text).dependencies
    assert first.vulns == (Vulnerability(id="PYSEC-1", aliases=("CVE-1",), fix_versions=("2",)),)
    assert (second.version, second.vulns) == ("", ())
