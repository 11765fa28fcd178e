import pytest

from pipeline.config.image_toml import ImageSpec
from pipeline.errors import LockError
from pipeline.locks.cuda import check_base
from pipeline.locks.image_lock import LockFiles, check_lock
from tests.unit.conftest import CheckoutFolder


@pytest.mark.parametrize(("ours", "theirs"), [("12", "12.0"), ("12.0", "12"), ("12.10", "12.9"), ("13", "12.8")])
def test_cuda_versions_compare_as_versions(checkout: CheckoutFolder, ours: str, theirs: str) -> None:
    """A number alone is the first of its releases."""
    checkout.write("small/pixi.toml", f'[system-requirements]\ncuda = "{theirs}"\n')
    assert check_lock(LockFiles(checkout.image), ImageSpec(description="x", cuda=ours)).candidates


def test_an_older_cuda_than_required_is_refused(checkout: CheckoutFolder) -> None:
    """pixi refuses to install for a CUDA that the manifest excludes; this is told before."""
    checkout.write("small/pixi.toml", '[system-requirements]\ncuda = "12.8"\n')
    with pytest.raises(
        LockError, match=r"key 'cuda' is 12\.6, but environment 'default' of small/pixi\.toml requires CUDA 12\.8"
    ):
        check_lock(LockFiles(checkout.image), ImageSpec(description="x", cuda="12.6"))


@pytest.mark.parametrize("base_cuda", [None, "12.8", "12.8.1", "13.0.0", "13"])
def test_a_base_of_the_same_or_a_newer_cuda_is_accepted(base_cuda: str | None) -> None:
    """Libraries of the environment run on a base of their CUDA or a newer one, or one that says nothing."""
    check_base("small", ImageSpec(description="x", cuda="12.8"), "base:tag", base_cuda)


def test_a_base_of_an_older_cuda_is_refused() -> None:
    """A base that is older than what was locked is told with its name."""
    with pytest.raises(LockError, match=r"the base image base:tag is of CUDA 12\.6\.3; choose a newer base"):
        check_base("small", ImageSpec(description="x", cuda="12.8"), "base:tag", "12.6.3")
