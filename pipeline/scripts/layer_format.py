"""Formats of layers: how the bytes of a blob follow from its archive.

Format 1 is gzip of Python's zlib; format 2 is gzip of libdeflate, in members. zstd is the same in both. An image of a
format from 2 on names it in the history of its configuration, once for each layer of its own; one without has format 1.
Images that were built on it repeat labels, but not the history of layers that are theirs.

Published digests depend on a format for ever. So what makes other bytes (another version or level of a compressor, or
another size of members) is a new format, beside the existing ones.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

#: Format of new images, by their compression: the first one that makes the same bytes.
NEW: Final = {"gzip": 2, "zstd": 1}
#: Format of images that name none.
UNNAMED: Final = 1
#: Text in the history, before the number.
PREFIX: Final = "pipeline.layers.v"


def describe(number: int) -> dict[str, str]:
    """Return the keys that name a format in the history entry of a layer."""
    return {} if number == UNNAMED else {"comment": f"{PREFIX}{number}"}


def is_known(number: int) -> bool:
    """Return whether layers can be made in a format."""
    return number in range(UNNAMED, max(NEW.values()) + 1)


def find_format(config: Mapping[str, Any]) -> int:
    """Return the format that an image's configuration names: that of its topmost layer.

    Raises:
        LookupError, TypeError, AttributeError: it is no configuration of an image.
    """
    history = config.get("history") or [{}]
    found = re.fullmatch(rf"{re.escape(PREFIX)}([0-9]{{1,9}})", str(history[-1].get("comment", "")))
    return int(found[1]) if found else UNNAMED
