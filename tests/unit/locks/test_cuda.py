import pytest

from pipeline.config.image_toml import ImageSpec
from pipeline.errors import Code, LockError
from pipeline.locks.cuda import check_base
from pipeline.locks.image_lock import LockFiles, check_lock
from tests.unit.conftest import CheckoutFolder
from tests.unit.refusals import refused


@pytest.mark.parametrize(("ours", "theirs"), [("12", "12.0"), ("12.0", "12"), ("12.10", "12.9"), ("13", "12.8")])
def test_cuda_versions_compare_as_versions(checkout: CheckoutFolder, ours: str, theirs: str) -> None:
    """A number alone is the first of its releases."""
    checkout.write("small/pixi.toml", f'[system-requirements]\ncuda = "{theirs}"\n')
    assert check_lock(LockFiles(checkout.image), ImageSpec(description="x", cuda=ours)).candidates


def test_an_older_cuda_than_required_is_refused(checkout: CheckoutFolder) -> None:
    """pixi refuses to install for a CUDA version that the manifest excludes; this check comes earlier."""
    checkout.write("small/pixi.toml", '[system-requirements]\ncuda = "12.8"\n')
    facts = ["key 'cuda' is 12.6", "environment 'default'", "CUDA 12.8"]
    at = {"small/pixi.toml": "system-requirements.cuda", "small/image.toml": "cuda"}
    with refused(Code.CUDA_MISMATCH, *facts, at=at, kind=LockError):
        check_lock(LockFiles(checkout.image), ImageSpec(description="x", cuda="12.6"))


@pytest.mark.parametrize("base_cuda", [None, "12.8", "12.8.1", "13.0.0", "13"])
def test_a_base_of_the_same_or_a_newer_cuda_is_accepted(base_cuda: str | None) -> None:
    """Libraries of the environment run on a base of their CUDA or a newer one, or one that says nothing."""
    check_base("small", ImageSpec(description="x", cuda="12.8"), "base:tag", base_cuda)


def test_a_base_of_an_older_cuda_is_refused() -> None:
    """The message has the name of the base image, and both versions."""
    facts = ["key 'cuda' is 12.8", "base:tag", "CUDA 12.6.3", "newer base"]
    with refused(Code.CUDA_MISMATCH, *facts, at={"small/image.toml": "cuda"}, kind=LockError):
        check_base("small", ImageSpec(description="x", cuda="12.8"), "base:tag", "12.6.3")
