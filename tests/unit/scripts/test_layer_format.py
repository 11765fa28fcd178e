"""The format of an image's layers, from its configuration."""

import pytest

from pipeline.scripts import compress, layer_format


@pytest.mark.parametrize("number", [2, 17])
def test_the_topmost_layer_names_it(number: int) -> None:
    """An image that is built on another one has the other's layers below its own."""
    history = [{"comment": "pipeline.layers.v9"}, layer_format.describe(number)]
    assert layer_format.find_format({"history": history}) == number


@pytest.mark.parametrize(
    "config",
    [
        {}, {"history": None}, {"history": []}, {"history": [{}]}, {"history": [{"comment": None}]},
        {"history": [{"comment": "buildkit.dockerfile.v0"}]}, {"history": [{"comment": "pipeline.layers.v2 and more"}]},
        {"history": [{"comment": f"pipeline.layers.v{'9' * 5000}"}]},
        {"history": [layer_format.describe(2), layer_format.describe(1)]},
    ],
)  # fmt: skip
def test_one_that_names_none_has_the_first(config: dict[str, object]) -> None:
    """Images were published before formats had a number, and other programs write comments of their own."""
    assert layer_format.find_format(config) == 1


def test_what_is_known_can_be_made() -> None:
    """Each number with either compression, and no number beyond."""
    known = {number for number in range(-1, 100) if layer_format.is_known(number)}
    assert known == {number for _, number in compress.COMPRESSORS}
    assert compress.COMPRESSORS.keys() == {(name, number) for name in layer_format.NEW for number in known}


def test_new_images_have_the_first_format_that_makes_their_bytes() -> None:
    """So the digest of an image in zstd stays when gzip gets another format."""
    for name, number in layer_format.NEW.items():
        later = [compress.COMPRESSORS[name, other] for other in range(number, max(layer_format.NEW.values()) + 1)]
        assert set(later) == {compress.COMPRESSORS[name, number]}
        assert number == 1 or compress.COMPRESSORS[name, number - 1] != compress.COMPRESSORS[name, number]
