from pathlib import Path

import pytest
from dagger import dag

from pipeline.checkout import ImageSource
from pipeline.config.image_toml import ImageSpec
from pipeline.config.project_toml import Settings
from pipeline.errors import SpecError

BOTH = ImageSource(
    "small",
    ImageSpec(description="x", platforms=("linux/arm64", "linux/amd64")),
    Path("small"),
    dag.directory(),
    Settings(),
)


def test_the_first_platform_is_built_unless_another_is_asked_for() -> None:
    """The order in image.toml says what `build` gives by itself."""
    assert BOTH.platform(None) == "linux/arm64"
    assert BOTH.platform("linux/amd64") == "linux/amd64"


def test_a_platform_that_the_image_does_not_have_is_refused() -> None:
    """The nearest one that it has is told."""
    with pytest.raises(
        SpecError,
        match=r"^small/image\.toml: key 'platforms' does not have 'linux/arm'; did you mean 'linux/arm64'\? \[plat",
    ):
        BOTH.platform("linux/arm")
