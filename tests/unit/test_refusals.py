"""The assertions about errors fail for another error."""

import pytest

from pipeline.errors import Code, PipelineError
from tests.unit.refusals import refused, require

ERROR = PipelineError(
    Code.KEY_INVALID, "small/image.toml: unknown key 'bas'; did you mean 'base'?", {"small/image.toml": [("bas",)]}
)
AT = {"small/image.toml": "bas"}


def test_the_expected_error_is_accepted() -> None:
    """It has the code, the location and each fact."""
    require(ERROR, Code.KEY_INVALID, "small/image.toml", "'bas'", "'base'", at=AT)


@pytest.mark.parametrize(
    ("code", "fact", "at"),
    [
        (Code.FILE_MISSING, "'bas'", AT),
        (Code.KEY_INVALID, "'cuda'", AT),
        (Code.KEY_INVALID, "image.tom", AT),
        (Code.KEY_INVALID, "'bas'", {}),
        (Code.KEY_INVALID, "'bas'", {"small/image.toml": "base"}),
        (Code.KEY_INVALID, "'bas'", {"small/pixi.toml": "bas"}),
    ],
    ids=["code", "fact", "part of a word", "no location", "key", "file"],
)
def test_another_error_fails_the_test(code: Code, fact: str, at: dict[str, str]) -> None:
    """One difference is enough."""
    with pytest.raises(AssertionError):
        require(ERROR, code, fact, at=at)


def test_a_file_that_the_message_lacks_fails_the_test() -> None:
    """Its line number could not be added."""
    with pytest.raises(AssertionError):
        require(PipelineError(Code.KEY_INVALID, "no", {"image.toml": "x"}), Code.KEY_INVALID, at={"image.toml": "x"})


def test_no_error_fails_the_test() -> None:
    """The block has to raise one."""
    with pytest.raises(pytest.fail.Exception), refused(Code.KEY_INVALID):
        pass
