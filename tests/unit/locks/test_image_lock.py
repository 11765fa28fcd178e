from pathlib import Path

import pytest

from pipeline.config.image_toml import ImageSpec, load_spec
from pipeline.errors import LockError, PipelineError
from pipeline.locks.image_lock import LockFiles, check_lock
from tests.unit.conftest import LOCK, CheckoutFolder
from tests.unit.lockfiles import conda, locked, pypi, write

SPEC = ImageSpec(description="x")
ROOT = Path(__file__).parents[3]
NUMPY = conda("numpy-2.0-h_0")
ZLIB = conda("zlib-1.3-h_0")
SOURCE = (
    "- conda: src/mine",
    "- conda: src/mine\n  name: mine\n  version: '1.0'\n  subdir: linux-64\n  build: h_0\n  depends: []",
)
MINE = ("- pypi: ./mine", "- pypi: ./mine\n  name: mine\n  version: '1.0'\n  editable: true")
#: What format 7 says of two platforms of one kind.
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
    ("name", "text", "error", "message"),
    [
        ("pixi.lock", "", LockError, r"small/pixi\.lock is empty"),
        ("pixi.lock", "version: 99", LockError, r"small/pixi\.lock cannot be read: found newer lockfile format version 99"),
        ("pixi.lock", "version: [", LockError, r"small/pixi\.lock cannot be read: "),
        ("pixi.lock", LOCK.replace("  default:", "  other:"), LockError, r"small/pixi\.lock has no environment 'default', which small/image\.toml names"),
        ("pixi.lock", LOCK.replace("linux-64:", "osx-64:"), LockError, r"has nothing of environment 'default' for linux-64, which small/pixi\.toml lists; run 'dagger call lock --image small'"),
        ("pixi.lock", write({"default": {"linux-64": []}, "ml": {"linux-64": [NUMPY]}}).replace("linux-64:\n  ml", "linux-64: []\n  ml"), LockError, r"""'default' has no packages for linux-64; write environment = "ml" in small/image\.toml"""),
        ("pixi.lock", write([NUMPY, SOURCE]), LockError, r"'default' has a package that pixi builds from source \(mine\), and an image cannot have such a package yet"),
        ("pixi.lock", write([NUMPY, MINE]), PipelineError, r"package 'mine' is './mine', and that is not there \(no small/mine\); add it"),
        ("pixi.lock", write([NUMPY, (MINE[0].replace("./", "../"), MINE[1].replace("./", "../"))]), PipelineError, r"package 'mine' is '\.\./mine', and that is outside of small/"),
        ("pixi.toml", "[workspace", PipelineError, r"small/pixi\.toml is not valid TOML"),
        ("pixi.toml", '[workspace]\nplatforms = ["osx-64"]', PipelineError, r"""small/pixi\.toml: 'platforms' of environment 'default' does not have linux-64, .*; add "linux-64" there"""),
        ("pixi.toml", '[activation]\nscripts = ["gone.sh"]', PipelineError, r"activation script 'gone\.sh' is not there \(no small/gone\.sh\)"),
        ("pixi.toml", '[system-requirements]\ncuda = "12.8"', LockError, r"requires CUDA 12\.8, but small/image\.toml has no key 'cuda'"),
        ("pixi.toml", '[system-requirements]\ncuda = 12.8', LockError, r'add cuda = "12\.8"'),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(
    checkout: CheckoutFolder, name: str, text: str, error: type[PipelineError], message: str
) -> None:
    """Each way in which lock and manifest can be wrong is told in a sentence with the file and the remedy."""
    checkout.write(f"small/{name}", text)
    with pytest.raises(error, match=message) as raised:
        check_lock(LockFiles(checkout.image), SPEC)
    assert ";" in raised.value.message
    assert "\n" not in raised.value.message


def test_a_missing_lock_is_told(checkout: CheckoutFolder) -> None:
    """Without a lock nothing is built."""
    checkout.remove("small/pixi.lock")
    with pytest.raises(LockError, match=r"^small/pixi\.lock is missing, .*; run 'dagger call lock --image small'"):
        check_lock(LockFiles(checkout.image), SPEC)


def test_a_requirement_is_for_pixi_to_judge(checkout: CheckoutFolder) -> None:
    """A package that is asked for and not locked is no finding here: pixi says what it thinks of it."""
    checkout.write("small/pixi.toml", '[dependencies]\nnumpy = ">=7"\n[pypi-dependencies]\nfoo = "*"\n')
    assert len(check_lock(LockFiles(checkout.image), SPEC).candidates) == 1


def test_a_source_package_of_another_environment_is_none_of_the_image(checkout: CheckoutFolder) -> None:
    """Only what would be installed is refused."""
    checkout.write("small/pixi.lock", write({"default": {"linux-64": [NUMPY]}, "dev": {"linux-64": [NUMPY, SOURCE]}}))
    assert list(locked(checkout.image).conda) == ["numpy"]


def test_an_environment_that_the_manifest_lacks_is_told(checkout: CheckoutFolder) -> None:
    """A misspelt environment is told with the one that was meant."""
    checkout.write("small/pixi.toml", "[environments]\nml = []\n")
    with pytest.raises(
        PipelineError, match=r"has no environment 'mll', which small/image\.toml names; did you mean 'ml'\?"
    ):
        check_lock(LockFiles(checkout.image), ImageSpec(description="x", environment="mll"))


def test_two_platforms_of_one_kind_are_two_candidates(checkout: CheckoutFolder) -> None:
    """In the order of their names, in each process; which of them it is pixi says."""
    checkout.write(
        "small/pixi.lock",
        write({"default": {"linux-64-cuda": [NUMPY, ZLIB], "linux-64": [ZLIB]}}, version=7, platforms=TWO),
    )
    held = check_lock(LockFiles(checkout.image), SPEC)
    assert [(candidate.place.platform, list(candidate.conda)) for candidate in held.candidates] == [
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
