from pathlib import Path

import pytest

from pipeline.errors import LockError, ManifestError, PipelineError
from pipeline.lock import check_base, check_lock, read_locked, read_requirements
from pipeline.spec import ImageSpec, load_spec
from tests.unit.conftest import LOCK, CheckoutFolder

SPEC = ImageSpec(description="x")
ROOT = Path(__file__).parents[2]


def test_a_lock_that_fits_is_accepted(checkout: CheckoutFolder) -> None:
    """Nothing is said about files that agree."""
    check_lock(checkout.image, SPEC)


def test_the_lock_of_ml_platform_fits() -> None:
    """The image that this repository ships has a lock, in the newest format, that fits its manifest."""
    spec = ImageSpec(description="x", environment="ml", cuda="12.8")
    check_lock(ROOT / "ml_platform", spec)
    locked = read_locked(ROOT / "ml_platform", "ml")
    assert len(locked.conda) == 504
    assert locked.cuda == "12.8"


def test_the_lock_of_columnar_fits() -> None:
    """So has the second one, and it is without CUDA."""
    check_lock(ROOT / "columnar", load_spec(ROOT, "columnar"))
    assert read_locked(ROOT / "columnar", "default").cuda is None


@pytest.mark.parametrize(
    ("name", "text", "error", "message"),
    [
        ("pixi.lock", "", LockError, r"small/pixi\.lock is empty"),
        ("pixi.lock", "version: 99", LockError, r"small/pixi\.lock cannot be read: found newer lockfile format version 99"),
        ("pixi.lock", "version: [", LockError, r"small/pixi\.lock cannot be read: "),
        ("pixi.lock", LOCK.replace("  default:", "  other:"), LockError, r"small/pixi\.lock has no environment 'default', which small/image\.toml names"),
        ("pixi.lock", LOCK.replace("linux-64:", "osx-64:"), LockError, r"environment 'default' has no packages for linux-64"),
        ("pixi.toml", "[workspace", ManifestError, r"small/pixi\.toml is not valid TOML"),
        ("pixi.toml", '[dependencies]\nnumpy = "*"', LockError, r"does not match small/pixi\.toml: numpy is not locked"),
        ("pixi.toml", '[dependencies]\npython = "3.13.*"', LockError, r"python is locked at 3\.12\.1, but 3\.13\.\* is asked for"),
        ("pixi.toml", '[pypi-dependencies]\nFoo_Bar = "*"', LockError, r"foo-bar is not locked"),
        ("pixi.toml", '[target.linux-64.dependencies]\nnumpy = "*"', LockError, r"numpy is not locked"),
        ("pixi.toml", '[system-requirements]\ncuda = "12.8"', LockError, r"requires CUDA 12\.8, but small/image\.toml has no key 'cuda'"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(
    checkout: CheckoutFolder, name: str, text: str, error: type[PipelineError], message: str
) -> None:
    """Each way in which lock and manifest can be wrong is told in a sentence with the file and the remedy."""
    checkout.write(f"small/{name}", text)
    with pytest.raises(error, match=message) as raised:
        check_lock(checkout.image, SPEC)
    assert ";" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("name", "error"), [("pixi.lock", LockError), ("pixi.toml", ManifestError)])
def test_a_missing_file_is_told(checkout: CheckoutFolder, name: str, error: type[PipelineError]) -> None:
    """Without manifest or lock nothing is built."""
    checkout.remove(f"small/{name}")
    with pytest.raises(error, match=rf"^small/{name} is missing"):
        check_lock(checkout.image, SPEC)


def test_an_environment_that_the_manifest_lacks_is_told(checkout: CheckoutFolder) -> None:
    """A misspelt environment is told with the one that was meant."""
    checkout.write("small/pixi.toml", "[environments]\nml = []\n")
    with pytest.raises(
        ManifestError, match=r"has no environment 'mll', which small/image\.toml names; did you mean 'ml'\?"
    ):
        check_lock(checkout.image, ImageSpec(description="x", environment="mll"))


def test_many_problems_are_counted(checkout: CheckoutFolder) -> None:
    """Three problems are named, further ones counted: a sentence stays a sentence."""
    wanted = "\n".join(f'p{number} = "*"' for number in range(10))
    checkout.write("small/pixi.toml", f"[dependencies]\n{wanted}\n")
    with pytest.raises(LockError, match=r"p0 is not locked; p1 is not locked; p2 is not locked; and 7 more; "):
        check_lock(checkout.image, SPEC)


def test_features_add_up(checkout: CheckoutFolder) -> None:
    """An environment asks for what its features and, unless it says no, the default feature ask for."""
    manifest = """
        [dependencies]
        python = "3.12.*"
        [feature.ml.dependencies]
        Numpy = {version = ">=2"}
        [feature.ml.system-requirements]
        cuda = "12.8"
        [environments]
        with-default = ["ml"]
        without-default = {features = ["ml"], no-default-feature = true}
        """
    checkout.write("small/pixi.toml", manifest)
    both = read_requirements(checkout.image, "with-default")
    assert (both.conda, both.cuda) == ({"numpy": ">=2", "python": "3.12.*"}, "12.8")
    assert read_requirements(checkout.image, "without-default").conda == {"numpy": ">=2"}
    assert read_requirements(checkout.image, "default").cuda is None


def test_an_older_cuda_than_required_is_refused(checkout: CheckoutFolder) -> None:
    """pixi refuses to install for a CUDA that the manifest excludes; this is told before."""
    checkout.write("small/pixi.toml", '[system-requirements]\ncuda = "12.8"\n')
    with pytest.raises(
        LockError, match=r"key 'cuda' is 12\.6, but environment 'default' of small/pixi\.toml requires CUDA 12\.8"
    ):
        check_lock(checkout.image, ImageSpec(description="x", cuda="12.6"))


def test_a_lock_for_another_cuda_is_refused(tmp_path: Path) -> None:
    """A manifest whose CUDA was changed needs a new lock."""
    folder = tmp_path / "ml_platform"
    folder.mkdir()
    manifest = (ROOT / "ml_platform/pixi.toml").read_text()
    (folder / "pixi.toml").write_text(manifest.replace('cuda = "12.8"', 'cuda = "12.9"'))
    (folder / "pixi.lock").write_text((ROOT / "ml_platform/pixi.lock").read_text())
    with pytest.raises(LockError, match=r"was solved for CUDA 12\.8, but ml_platform/pixi\.toml requires CUDA 12\.9"):
        check_lock(folder, ImageSpec(description="x", environment="ml", cuda="12.9"))


@pytest.mark.parametrize("base_cuda", [None, "12.8.1", "13.0.0"])
def test_a_base_of_the_same_or_a_newer_cuda_is_accepted(base_cuda: str | None) -> None:
    """Libraries of the environment run on a base of their CUDA or a newer one, or one that says nothing."""
    check_base("small", ImageSpec(description="x", cuda="12.8"), "base:tag", base_cuda)


def test_a_base_of_an_older_cuda_is_refused() -> None:
    """A base that is older than what was locked is told with its name."""
    with pytest.raises(LockError, match=r"the base image base:tag is of CUDA 12\.6\.3; choose a newer base"):
        check_base("small", ImageSpec(description="x", cuda="12.8"), "base:tag", "12.6.3")
