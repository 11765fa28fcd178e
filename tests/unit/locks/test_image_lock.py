from pathlib import Path

import pytest

from pipeline.config.image_toml import ImageSpec, load_spec
from pipeline.errors import Code, LockError
from pipeline.locks.image_lock import LockFiles, check_lock
from tests.unit.conftest import LOCK, CheckoutFolder
from tests.unit.lockfiles import conda, locked, pypi, write
from tests.unit.refusals import refused

SPEC = ImageSpec(description="x")
RELOCK = "'dagger call lock --image small' and commit pixi.lock"
ROOT = Path(__file__).parents[3]
NUMPY = conda("numpy-2.0-h_0")
ZLIB = conda("zlib-1.3-h_0")
SOURCE = (
    "- conda: src/mine",
    "- conda: src/mine\n  name: mine\n  version: '1.0'\n  subdir: linux-64\n  build: h_0\n  depends: []",
)
MINE = ("- pypi: ./mine", "- pypi: ./mine\n  name: mine\n  version: '1.0'\n  editable: true")
#: Two platforms of one kind in format 7.
TWO = """\
platforms:
- name: linux-64
  virtual-packages: ['__glibc=2.28']
- name: linux-64-cuda
  subdir: linux-64
  virtual-packages: ['__cuda=12.8']
"""


def test_a_lock_that_fits_is_accepted(checkout: CheckoutFolder) -> None:
    """Its packages are what pixi is asked about."""
    held = check_lock(LockFiles(checkout.image), SPEC)
    assert [sorted(name for _, name in candidate.packages) for candidate in held.candidates] == [["python", "zlib"]]
    assert held.sources == {}


def test_the_lock_of_ml_platform_fits() -> None:
    """The image that this repository ships has a lock, in the newest format, that fits its manifest."""
    held = locked(ROOT / "ml_platform", "ml", "12.8")
    assert len(held.conda) == 504
    assert held.packages["virtual", "__cuda"].version == "12.8"


def test_the_lock_of_columnar_fits() -> None:
    """So has the second one, and it is without CUDA."""
    (held,) = check_lock(LockFiles(ROOT / "columnar"), load_spec(ROOT, "columnar")).candidates
    assert ("virtual", "__cuda") not in held.packages


@pytest.mark.parametrize(
    ("text", "code", "facts"),
    [
        ("", Code.LOCK_INVALID, ["empty", RELOCK]),
        ("version: 99", Code.LOCK_INVALID, ["version 99", RELOCK]),
        ("version: [", Code.LOCK_INVALID, [RELOCK]),
        (LOCK.replace("  default:", "  other:"), Code.LOCK_STALE, ["environment 'default'", "small/image.toml", RELOCK]),
        (LOCK.replace("linux-64:", "osx-64:"), Code.LOCK_STALE, ["environment 'default'", "linux-64", "small/pixi.toml", RELOCK]),
        (write({"default": {"linux-64": []}, "ml": {"linux-64": [NUMPY]}}).replace("linux-64:\n  ml", "linux-64: []\n  ml"), Code.LOCK_EMPTY, ["environment 'default'", "linux-64", 'environment = "ml"', "small/image.toml"]),
        (write([NUMPY, SOURCE]), Code.LOCK_SOURCE_PACKAGE, ["environment 'default'", "(mine)", "'environment' in small/image.toml"]),
    ],
)  # fmt: skip
def test_a_lock_that_does_not_fit_is_refused(checkout: CheckoutFolder, text: str, code: Code, facts: list[str]) -> None:
    """One line has the lock, what is missing in it, and the remedy."""
    checkout.write("small/pixi.lock", text)
    with refused(code, "small/pixi.lock", *facts, kind=LockError) as raised:
        check_lock(LockFiles(checkout.image), SPEC)
    assert "\n" not in raised.value.message


@pytest.mark.parametrize(
    ("package", "facts"),
    [
        (MINE, ["'./mine'", "no small/mine"]),
        ((MINE[0].replace("./", "../"), MINE[1].replace("./", "../")), ["'../mine'", "outside of small/"]),
    ],
    ids=["missing", "outside"],
)
def test_a_package_that_is_not_in_the_folder_is_refused(
    checkout: CheckoutFolder, package: tuple[str, str], facts: list[str]
) -> None:
    """The message has the package and its path."""
    checkout.write("small/pixi.lock", write([NUMPY, package]))
    with refused(Code.LOCAL_PATH, "package 'mine'", *facts, at={"small/pixi.toml": ""}) as raised:
        check_lock(LockFiles(checkout.image), SPEC)
    assert "\n" not in raised.value.message


@pytest.mark.parametrize(
    ("text", "code", "facts", "at"),
    [
        ("[workspace", Code.TOML_INVALID, ["small/pixi.toml", "TOML"], {}),
        ('[workspace]\nplatforms = ["osx-64"]', Code.MANIFEST_PLATFORM, ["'platforms' of environment 'default'", 'add "linux-64"'], {"small/pixi.toml": "workspace.platforms"}),
        ('[activation]\nscripts = ["gone.sh"]', Code.LOCAL_PATH, ["activation script 'gone.sh'", "no small/gone.sh"], {"small/pixi.toml": "activation.scripts"}),
    ],
)  # fmt: skip
def test_a_manifest_that_does_not_fit_is_refused(
    checkout: CheckoutFolder, text: str, code: Code, facts: list[str], at: dict[str, str]
) -> None:
    """One line has the manifest, its key, and the remedy."""
    checkout.write("small/pixi.toml", text)
    with refused(code, *facts, at=at) as raised:
        check_lock(LockFiles(checkout.image), SPEC)
    assert "\n" not in raised.value.message


def test_an_image_without_the_required_cuda_is_refused(checkout: CheckoutFolder) -> None:
    """The message has the line to add to image.toml."""
    checkout.write("small/pixi.toml", '[system-requirements]\ncuda = "12.8"')
    facts = ["environment 'default'", "CUDA 12.8", "small/image.toml", 'add cuda = "12.8"']
    with refused(
        Code.CUDA_MISMATCH, *facts, at={"small/pixi.toml": "system-requirements.cuda"}, kind=LockError
    ) as raised:
        check_lock(LockFiles(checkout.image), SPEC)
    assert "\n" not in raised.value.message


def test_a_missing_lock_is_refused(checkout: CheckoutFolder) -> None:
    """Without a lock nothing is built."""
    checkout.remove("small/pixi.lock")
    with refused(Code.LOCK_MISSING, "small/pixi.lock", RELOCK, kind=LockError):
        check_lock(LockFiles(checkout.image), SPEC)


def test_a_requirement_is_for_pixi_to_judge(checkout: CheckoutFolder) -> None:
    """A package that is asked for and not locked is no finding here: pixi says what it thinks of it."""
    checkout.write("small/pixi.toml", '[dependencies]\nnumpy = ">=7"\n[pypi-dependencies]\nfoo = "*"\n')
    assert len(check_lock(LockFiles(checkout.image), SPEC).candidates) == 1


def test_a_source_package_of_another_environment_is_none_of_the_image(checkout: CheckoutFolder) -> None:
    """Only what would be installed is refused."""
    checkout.write("small/pixi.lock", write({"default": {"linux-64": [NUMPY]}, "dev": {"linux-64": [NUMPY, SOURCE]}}))
    assert list(locked(checkout.image).conda) == ["numpy"]


def test_an_environment_that_the_manifest_lacks_is_refused(checkout: CheckoutFolder) -> None:
    """The message for a misspelt environment has the one that was meant."""
    checkout.write("small/pixi.toml", "[environments]\nml = []\n")
    with refused(Code.ENVIRONMENT_UNKNOWN, "small/pixi.toml", "environment 'mll'", "small/image.toml", "'ml'"):
        check_lock(LockFiles(checkout.image), ImageSpec(description="x", environment="mll"))


def test_two_platforms_of_one_kind_are_two_candidates(checkout: CheckoutFolder) -> None:
    """In the order of their names, in each process; which of them it is pixi says."""
    checkout.write(
        "small/pixi.lock",
        write({"default": {"linux-64-cuda": [NUMPY, ZLIB], "linux-64": [ZLIB]}}, version=7, platforms=TWO),
    )
    held = check_lock(LockFiles(checkout.image), SPEC)
    assert [(candidate.target.platform, list(candidate.conda)) for candidate in held.candidates] == [
        ("linux-64 (linux-64)", ["zlib"]),
        ("linux-64 (linux-64-cuda)", ["numpy", "zlib"]),
    ]


def test_git_is_needed_for_a_package_from_git(checkout: CheckoutFolder) -> None:
    """The package is named, for a base image that has no git."""
    url = "git+https://example.org/a/b?rev=1#" + "0" * 40
    checkout.write(
        "small/pixi.lock", write([NUMPY, (f"- pypi: {url}", f"- pypi: {url}\n  name: mine\n  version: '1'")])
    )
    assert check_lock(LockFiles(checkout.image), SPEC).git == "mine"
    checkout.write("small/pixi.lock", write([NUMPY, pypi("mine", "1.0")]))
    assert check_lock(LockFiles(checkout.image), SPEC).git == ""


def test_folders_of_the_image_are_found_whole(checkout: CheckoutFolder) -> None:
    """That of a package is one path; the image's own folder is all that is in it."""
    checkout.write("small/src/mine/a.py", "")
    checkout.write("small/pixi.lock", write([NUMPY, ("- pypi: ./", "- pypi: ./\n  name: mine\n  version: '1.0'")]))
    held = check_lock(LockFiles(checkout.image), SPEC)
    assert held.has_local
    assert held.own_paths({"src/mine"}) == ["src/mine"]
    assert held.own_paths({"."}) == ["src"]
    assert not check_lock(LockFiles(ROOT / "columnar"), load_spec(ROOT, "columnar")).has_local
