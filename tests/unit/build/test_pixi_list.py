import json

import pytest

from pipeline.build.pixi_list import Listed, choose, explain, platform_note, read_answer
from pipeline.config.image_toml import ImageSpec
from pipeline.config.toml_locations import located
from pipeline.errors import Code, LockError
from pipeline.locks.image_lock import ImageLock, LockFiles, check_lock
from pipeline.locks.manifest import Manifest, read_manifest
from tests.unit.conftest import CheckoutFolder
from tests.unit.lockfiles import conda, pypi, write
from tests.unit.locks.test_image_lock import RELOCK, TWO
from tests.unit.refusals import refused, require, require_facts

SPEC = ImageSpec(description="x")
MANIFEST = Manifest("small", "pixi.toml", {"environments": {"l": []}})
NUMPY, ZLIB = conda("numpy-2.0-h_0"), conda("zlib-1.3-h_0")


def line(name: str, version: str | None, build: str | None, kind: str = "conda", **more: object) -> dict[str, object]:
    """A package as pixi prints it."""
    return {"name": name, "version": version, "build": build, "kind": kind, "size_bytes": 1, "source": "x", **more}


def held(checkout: CheckoutFolder, text: str) -> ImageLock:
    """The image lock that is read from a text."""
    checkout.write("small/pixi.lock", text)
    return check_lock(LockFiles(checkout.image), SPEC)


def test_an_answer_of_each_pixi_is_read() -> None:
    """0.15 prints less of a package than 0.77, and nothing at all where there is none."""
    old = line("zlib", "1.3", "h_0", is_explicit=False)
    new = line("mine", None, None, "pypi", sha256=None, run_exports=None)
    assert read_answer("small", json.dumps([old, new])) == [
        Listed(name="zlib", kind="conda", version="1.3", build="h_0"),
        Listed(name="mine", kind="pypi"),
    ]
    assert read_answer("small", "\n") == []


def test_an_answer_without_a_list_is_refused() -> None:
    """It is that of a program that is not pixi."""
    with refused(Code.BASE_IMAGE_UNSUITABLE, "small", "'pixi list --json'", "pixi 0.15"):
        read_answer("small", "hello")


def test_the_platform_that_pixi_lists_is_taken(checkout: CheckoutFolder) -> None:
    """Whichever it is: the lock has both."""
    text = write({"default": {"linux-64": [ZLIB], "linux-64-cuda": [ZLIB, NUMPY]}}, version=7, platforms=TWO)
    lock = held(checkout, text)
    plain, both = Listed(**line("zlib", "1.3", "h_0")), Listed(**line("numpy", "2.0", "h_0"))  # type: ignore[arg-type]
    without, cuda = choose("small", lock, [plain]), choose("small", lock, [both, plain])
    assert without.target.platform == "linux-64 (linux-64)"
    assert cuda.target.platform == "linux-64 (linux-64-cuda)"
    assert "put the one with CUDA first" in platform_note("small", lock, without)
    assert platform_note("small", lock, cuda) == ""


def test_names_and_versions_of_pypi_may_be_written_otherwise(checkout: CheckoutFolder) -> None:
    """pixi may write the name as the package's author does."""
    lock = held(checkout, write([ZLIB, pypi("foo_bar", "1.0")]))
    zlib = Listed(name="zlib", kind="conda", version="1.3", build="h_0")
    assert choose("small", lock, [zlib, Listed(name="Foo.Bar", kind="pypi", version="1")]) == lock.candidates[0]


def test_other_packages_than_the_lock_has_are_refused(checkout: CheckoutFolder) -> None:
    """Nothing is installed that was not read."""
    lock = held(checkout, write([ZLIB]))
    facts = ["other packages", "small/pixi.lock", "environment 'default'", RELOCK]
    with refused(Code.LOCK_STALE, *facts, kind=LockError):
        choose("small", lock, [Listed(name="zlib", kind="conda", version="1.4", build="h_0")])


def test_the_environment_that_is_asked_for_comes_first() -> None:
    """pixi looks at all of them; three reasons are named."""
    output = "\n".join(
        f"the dependencies of environment '{name}' for platform p are out of date because x" for name in "abcml"
    )
    assert "(pixi: the dependencies of environment 'l' for" in str(explain(MANIFEST, "l", 1, output))


STALE = """\
 INFO pixi::outdated: the dependencies of environment 'default' for platform linux-64 are out of date because \
the requirement 'numpy *' could not be satisfied (required by '<environment>')
  \N{MULTIPLICATION SIGN} lock-file not up-to-date with the project
"""


def test_pixi_s_reason_for_a_stale_lock_is_reported() -> None:
    """The message has it whole, and the command that locks again."""
    reason = (
        "(pixi: the dependencies of environment 'default' for platform linux-64 are out of date because the "
        "requirement 'numpy *' could not be satisfied (required by '<environment>'))"
    )
    error = explain(MANIFEST, "default", 1, STALE)
    require(error, Code.LOCK_STALE, "small/pixi.lock", reason, RELOCK, at={"small/pixi.toml": "dependencies.numpy"})
    assert isinstance(error, LockError)


def test_a_lock_that_pixi_only_calls_stale_is_stale() -> None:
    """Newer releases of pixi give no reason."""
    error = explain(MANIFEST, "default", 1, "Error:   \N{MULTIPLICATION SIGN} lock file not up-to-date\n")
    require(error, Code.LOCK_STALE, "small/pixi.lock", "(pixi: lock file not up-to-date)", RELOCK)
    assert isinstance(error, LockError)


@pytest.mark.parametrize(
    ("exit_code", "output", "code", "facts"),
    [
        (
            1,
            "  \N{MULTIPLICATION SIGN} Expecting a version\n",
            Code.MANIFEST_INVALID,
            ["small/pixi.toml", "Expecting a version;"],
        ),
        (1, "", Code.MANIFEST_INVALID, ["small/pixi.toml", "ended with 1"]),
        (124, "", Code.PIXI_TIMEOUT, ["small/pixi.lock", "'solve_timeout' of [tool.pipeline]"]),
        (137, "", Code.PIXI_KILLED, ["small/pixi.lock", "137"]),
    ],
)
def test_other_failures_of_pixi_are_reported(exit_code: int, output: str, code: Code, facts: list[str]) -> None:
    """The message has pixi's reason, and our remedy."""
    require(explain(MANIFEST, "default", exit_code, output), code, *facts)


@pytest.mark.parametrize("table", ["dependencies", "target.linux-64.pypi-dependencies", "feature.ml.dependencies"])
def test_a_requirement_is_located(checkout: CheckoutFolder, table: str) -> None:
    """The message has its line, in whatever table of the environment it stands."""
    checkout.write("small/pixi.toml", f'[environments]\ndefault = ["ml"]\n[{table}]\nzlib = "*"\nnumpy = "*"\n')
    error = explain(read_manifest(checkout.image), "default", 1, STALE)
    require(error, Code.LOCK_STALE, at={"small/pixi.toml": f"{table}.numpy"})
    require_facts(located(error, checkout.path), "small/pixi.lock", "small/pixi.toml:5")
