import pytest

from pipeline.checkout import choose_platform
from pipeline.config.image_toml import ImageSpec
from pipeline.errors import SpecError

BOTH = ImageSpec(description="x", platforms=("linux/arm64", "linux/amd64"))


def test_the_first_platform_is_built_unless_another_is_asked_for() -> None:
    """The order in image.toml says what `build` gives by itself."""
    assert choose_platform("small", BOTH, None) == "linux/arm64"
    assert choose_platform("small", BOTH, "linux/amd64") == "linux/amd64"


def test_a_platform_that_the_image_does_not_have_is_refused() -> None:
    """The nearest one that it has is told."""
    with pytest.raises(
        SpecError, match=r"^small/image\.toml: key 'platforms' does not have 'linux/arm'; did you mean 'linux/arm64'\?$"
    ):
        choose_platform("small", BOTH, "linux/arm")
