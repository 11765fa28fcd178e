from pathlib import Path

import pytest

from pipeline.errors import Code
from pipeline.locks.manifest import Manifest, inside, read_manifest
from tests.unit.conftest import CheckoutFolder
from tests.unit.refusals import refused

ROOT = Path(__file__).parents[3]
CUDA = '{ name = "linux-64-cuda", platform = "linux-64", cuda = "12.8" }'


def read(checkout: CheckoutFolder, text: str, file: str = "pixi.toml") -> Manifest:
    """The manifest of a text."""
    checkout.remove("small/pixi.toml")
    checkout.write(f"small/{file}", text)
    return read_manifest(checkout.image)


def test_pyproject_is_a_manifest_too(checkout: CheckoutFolder) -> None:
    """With pixi's tables below [tool.pixi], and the project's requirements beside them."""
    text = """
        [project]
        name = "mine"
        dependencies = ["numpy>=2", "Foo.Bar[extra] ; python_version > '3'", "not a requirement!"]
        [project.optional-dependencies]
        docs = ["sphinx"]
        [tool.pixi.workspace]
        platforms = ["linux-64"]
        [tool.pixi.dependencies]
        zlib = "*"
        [tool.pixi.environments]
        docs = ["docs"]
        """
    manifest = read(checkout, text, "pyproject.toml")
    assert manifest.name == "small/pyproject.toml"
    assert set(manifest.environments) == {"default", "docs"}
    assert manifest.packages() == {"numpy", "Foo.Bar", "sphinx", "zlib"}
    assert manifest.at("workspace") == ("tool", "pixi", "workspace")


def test_pixi_toml_comes_first(checkout: CheckoutFolder) -> None:
    """As pixi finds it; a pyproject.toml of the package beside it is no manifest."""
    checkout.write("small/pyproject.toml", "[tool.pixi.environments]\nother = []\n")
    assert read_manifest(checkout.image).file == "pixi.toml"


@pytest.mark.parametrize(
    ("file", "text", "code", "facts"),
    [
        ("pyproject.toml", "[project]\n", Code.MANIFEST_MISSING, ["small/pyproject.toml", "[tool.pixi]", "small/pixi.toml"]),
        ("README.md", "", Code.MANIFEST_MISSING, ["small/pixi.toml", "missing"]),
        ("pixi.toml", "a = ", Code.TOML_INVALID, ["small/pixi.toml", "TOML"]),
        ("pyproject.toml", "a = ", Code.TOML_INVALID, ["small/pyproject.toml", "TOML"]),
    ],
)  # fmt: skip
def test_a_manifest_that_cannot_be_read_is_refused(
    checkout: CheckoutFolder, file: str, text: str, code: Code, facts: list[str]
) -> None:
    """The message has the file."""
    with refused(code, *facts):
        read(checkout, text, file)


@pytest.mark.parametrize(
    "text",
    ['\ufeff[dependencies]\nzlib = "*"\n', '[dependencies]\nzlib = {\n  version = "*",\n}\n'],
    ids=["BOM", "TOML 1.1"],
)
def test_toml_is_read_as_pixi_reads_it(checkout: CheckoutFolder, text: str) -> None:
    """A byte order mark, and a table in braces over several lines."""
    assert read(checkout, text).packages() == {"zlib"}


def test_features_are_the_tables_of_an_environment(checkout: CheckoutFolder) -> None:
    """Its own, those of its features and, unless it says no, the default feature's."""
    text = """
        [environments]
        with-default = ["ml"]
        without-default = { features = ["ml"], no-default-feature = true }
        """
    manifest = read(checkout, text)
    assert manifest.tables("with-default") == [("environments", "with-default"), ("feature", "ml"), ()]
    assert manifest.tables("without-default") == [("environments", "without-default"), ("feature", "ml")]
    assert manifest.tables("default") == [("environments", "default"), ()]


@pytest.mark.parametrize(
    ("text", "cuda"),
    [
        ("", None),
        ('[system-requirements]\ncuda = "12"\n', "12"),
        ('[feature.other.system-requirements]\ncuda = "12"\n', None),
        ('[workspace]\nplatforms = ["linux-64", "osx-64"]\n', None),
        (f'[workspace]\nplatforms = ["linux-64", {CUDA}]\n', None),
        (f"[workspace]\nplatforms = [{CUDA}]\n", "12.8"),
        ('[[workspace.platforms]]\nplatform = "linux-64"\ncuda = "13"\n', "13"),
        (f'[project]\nplatforms = [{CUDA}, {{ platform = "linux-64", cuda = "9" }}]\n', "9"),
        ('[[workspace.platforms]]\nplatform = "linux-64"\ncuda = { driver = "13", arch = "90" }\n', "13"),
        ('[[workspace.platforms]]\nplatform = "linux-64"\ncuda = { arch = "90" }\n', None),
        ('[[workspace.platforms]]\nplatform = "win-64"\ncuda = "13"\n', None),
    ],
)  # fmt: skip
def test_the_cuda_version_that_is_needed_is_found(checkout: CheckoutFolder, text: str, cuda: str | None) -> None:
    """It is needed where system-requirements say so, or no platform of the kind does without."""
    found = read(checkout, text).required_cuda("default", "linux-64")
    assert (found and found[0]) == cuda


@pytest.mark.parametrize("value", ["12.8", "12.10", "12", "true", '["12.8"]', '{ driver = "12.8" }'])
def test_a_cuda_version_that_is_no_text_is_refused(checkout: CheckoutFolder, value: str) -> None:
    """pixi takes no number, and 12.10 would be read as 12.1."""
    manifest = read(checkout, f"[system-requirements]\ncuda = {value}\n")
    at = {"small/pixi.toml": "system-requirements.cuda"}
    with refused(Code.MANIFEST_INVALID, "small/pixi.toml", "'cuda' in 'system-requirements'", "quotes", at=at):
        manifest.required_cuda("default", "linux-64")


def test_a_cuda_version_of_a_platform_that_is_no_text_is_refused(checkout: CheckoutFolder) -> None:
    """The same for a platform, with the list that it is in."""
    manifest = read(checkout, '[[workspace.platforms]]\nplatform = "linux-64"\ncuda = 12.8\n')
    at = {"small/pixi.toml": "workspace.platforms"}
    with refused(Code.MANIFEST_INVALID, "'cuda' in 'workspace.platforms'", "quotes", at=at):
        manifest.required_cuda("default", "linux-64")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("pixi.toml", 'dependencies = ["numpy"]\n'),
        ("pixi.toml", 'dependencies = "numpy"\n'),
        ("pixi.toml", 'feature = 3\npypi-dependencies = ["numpy"]\n'),
        ("pyproject.toml", '[project]\ndependencies = "numpy"\noptional-dependencies = "x"\n[tool.pixi.workspace]\n'),
    ],
)
def test_packages_in_no_table_are_left_to_pixi(checkout: CheckoutFolder, file: str, text: str) -> None:
    """It rejects them with the line; nothing here ends before that."""
    assert read(checkout, text, file).packages() == set()


@pytest.mark.parametrize(
    ("text", "scripts"),
    [
        ('[activation]\nscripts = ["a.sh", "b.sh"]\n', ["a.sh", "b.sh"]),
        ('[activation]\nscripts = ["a.sh"]\n[target.unix.activation]\nscripts = ["b.sh"]\n', ["b.sh"]),
        ('[activation]\nscripts = ["a.sh"]\n[target.win-64.activation]\nscripts = ["b.bat"]\n', ["a.sh"]),
        (f'[workspace]\nplatforms = [{CUDA}]\n[target.linux-64-cuda.activation]\nscripts = ["c.sh"]\n', ["c.sh"]),
        ('[feature.ml.activation]\nscripts = ["a.sh"]\n', []),
        (
            '[activation]\nscripts = ["a.sh"]\n[feature.ml.target.linux.activation]\nscripts = ["b.sh"]\n'
            '[environments]\ndefault = ["ml"]\n',
            ["b.sh", "a.sh"],
        ),
    ],
)
def test_scripts_of_the_platform_are_found(checkout: CheckoutFolder, text: str, scripts: list[str]) -> None:
    """Of the environment and its features; those for the platform take the place of those for all."""
    found = read(checkout, text).activation_scripts("default", "linux-64")
    assert [script for _, script in found] == scripts


@pytest.mark.parametrize(
    ("text", "listed"),
    [
        ("", True),
        ('[workspace]\nplatforms = ["linux-64"]\n', True),
        (f"[workspace]\nplatforms = [{CUDA}]\n", True),
        ('[workspace]\nplatforms = ["osx-64", "win-64"]\n', False),
        ('[workspace]\nplatforms = ["linux-64", "osx-64"]\n[environments.default]\nplatforms = ["osx-64"]\n', False),
        (f'[workspace]\nplatforms = [{CUDA}]\n[environments.default]\nplatforms = ["linux-64-cuda"]\n', True),
    ],
)
def test_platforms_are_found(checkout: CheckoutFolder, text: str, *, listed: bool) -> None:
    """By name or by kind; a manifest that lists none is left to pixi."""
    assert read(checkout, text).lists_platform("default", "linux-64") is listed


@pytest.mark.parametrize(
    "text",
    [
        'dependencies = ["numpy"]\n',
        "environments = 1\nfeature = []\nactivation = 'x'\n",
        "[environments]\ndefault = 1\n[workspace]\nplatforms = 'linux-64'\n",
        "[activation]\nscripts = [1]\n[pypi-dependencies]\nx = 1\n",
    ],
)
def test_what_pixi_would_refuse_is_no_traceback(checkout: CheckoutFolder, text: str) -> None:
    """Values of other kinds than pixi knows are left to pixi."""
    manifest = read(checkout, text)
    assert manifest.required_cuda("default", "linux-64") is None
    assert manifest.activation_scripts("default", "linux-64") == []
    assert manifest.local_paths() == set()
    assert manifest.lists_platform("default", "linux-64")


@pytest.mark.parametrize(
    ("path", "found"),
    [("./", "."), ("a/../b/", "b"), ("./src/mine", "src/mine"), ("../a", None), ("a/../../b", None), ("/a", None)],
)
def test_a_path_stays_in_the_folder(path: str, found: str | None) -> None:
    """Dots do not lead out of it."""
    assert inside(path) == found
