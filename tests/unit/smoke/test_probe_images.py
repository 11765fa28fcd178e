import json
from typing import NoReturn

import pytest

from pipeline.checkout import Checkout
from pipeline.config.image_toml import ImageSpec
from pipeline.config.probes import Probes
from pipeline.errors import BuildError, SmokeTestError
from pipeline.output.formats import ResultFormat
from pipeline.smoke.probe_images import probe_images, require_gpu_probe, require_passed
from pipeline.smoke.results import NotBuilt, Result, Results

PASSED = Result(image="small", kind="script", name="python", version="3.12.1", detail="OpenSSL")
FAILED = Result(image="small", kind="script", name="root", failure="exited with 1", output="the reason")
NOT_BUILT = NotBuilt(image="large", reason="large: no package")


def test_a_gpu_for_nothing_is_refused() -> None:
    """--gpu with images none of whose probes looks for a GPU is a mistake, not a success."""
    with pytest.raises(
        SmokeTestError, match=r"^--gpu was given, but no probe of small looks for a GPU; add tensorflow"
    ):
        require_gpu_probe({"small": ImageSpec(description="x")})
    require_gpu_probe({"small": ImageSpec(description="x", probes=Probes(scripts=("python", "tensorflow")))})


def test_the_report_is_returned_when_all_passed() -> None:
    """A test without failures ends with its report."""
    assert "3.12.1" in require_passed(Results(results=(PASSED,)), ResultFormat.TABLE)


def test_everything_that_failed_is_raised_once() -> None:
    """All failures are told in one sentence, with the report after it."""
    failed = (FAILED, Result(image="small", kind="import", name="numpy", failure="failed: no"))
    with pytest.raises(SmokeTestError) as raised:
        require_passed(Results(results=(PASSED, *failed)), ResultFormat.TABLE)
    first, *table = str(raised.value).splitlines()
    assert first == "2 of 3 probes failed (small: root exited with 1; small: import numpy failed: no)"
    assert any("3.12.1" in line for line in table)


def test_a_failure_has_its_report_in_the_format_that_was_asked_for() -> None:
    """Whoever asked for JSON finds JSON after the sentence."""
    with pytest.raises(SmokeTestError) as raised:
        require_passed(Results(results=(FAILED,)), ResultFormat.JSON)
    sentence, report = str(raised.value).split("\n", 1)
    assert sentence == "1 of 1 probes failed (small: root exited with 1)"
    assert json.loads(report)["results"][0]["output"] == "the reason"


def test_an_image_that_was_not_built_does_not_hide_the_others() -> None:
    """A failed build is told together with the results of the images that were built."""
    with pytest.raises(SmokeTestError) as raised:
        require_passed(Results(results=(PASSED,), not_built=(NOT_BUILT,)), ResultFormat.TABLE)
    assert str(raised.value).startswith("large: no package\n")
    assert "3.12.1" in str(raised.value)


def test_the_only_image_that_was_not_built_is_told_alone() -> None:
    """One failed build and nothing else is that sentence and nothing else."""
    with pytest.raises(SmokeTestError, match=r"^large: no package$"):
        require_passed(Results(not_built=(NOT_BUILT,)), ResultFormat.TABLE)


class NothingBuilds(Checkout):
    """A checkout whose images cannot be built, each for a reason of its own."""

    def __init__(self) -> None:
        """Without files: nothing is read."""

    async def build(self, image: str, platform: str | None = None) -> NoReturn:
        """Refuse an image on a platform."""
        raise BuildError(f"{image} has no package for {platform}")


@pytest.mark.asyncio
async def test_each_platform_of_an_image_is_tested() -> None:
    """An image is built for each of its platforms; where there are several, results say which one they are of."""
    both = ImageSpec(description="x", platforms=("linux/amd64", "linux/arm64"))
    results = await probe_images(NothingBuilds(), {"large": both, "small": ImageSpec(description="x")}, gpu=False)
    assert [(image.subject, image.reason) for image in results.not_built] == [
        ("large (linux/amd64)", "large has no package for linux/amd64"),
        ("large (linux/arm64)", "large has no package for linux/arm64"),
        ("small", "small has no package for linux/amd64"),
    ]
