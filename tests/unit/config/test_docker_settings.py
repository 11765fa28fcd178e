"""The settings of a Dockerfile that only Docker's image specification has, as BuildKit writes them."""

from typing import Any

import pytest

from pipeline.config.docker_settings import describe, docker_settings

HEALTH = r"""
FROM debian
HEALTHCHECK --interval=1m30s --timeout=500ms \
  # often enough
  --start-period=1.5h --start-interval=5s --retries=4 CMD curl -f  http://localhost/ || exit 1
"""


@pytest.mark.parametrize(
    ("text", "check"),
    [
        (
            HEALTH,
            {
                "Test": ["CMD-SHELL", "curl -f  http://localhost/ || exit 1"],
                "Interval": 90_000_000_000,
                "Timeout": 500_000_000,
                "StartPeriod": 5_400_000_000_000,
                "StartInterval": 5_000_000_000,
                "Retries": 4,
            },
        ),
        ('FROM debian\nhealthcheck\tcmd\t["curl", "-f", "x y"]', {"Test": ["CMD", "curl", "-f", "x y"]}),
        ("FROM debian\nHEALTHCHECK CMD [ -e /ready ]", {"Test": ["CMD-SHELL", "[ -e /ready ]"]}),
        ("FROM debian\nHEALTHCHECK --interval=0s CMD test $READY", {"Test": ["CMD-SHELL", "test $READY"]}),
        ("FROM debian\nHEALTHCHECK CMD true\nHEALTHCHECK NONE", {"Test": ["NONE"]}),
        ("FROM debian AS Base\nHEALTHCHECK CMD a\nFROM base\nRUN b", {"Test": ["CMD-SHELL", "a"]}),
    ],
)
def test_a_health_check_is_read(text: str, check: dict[str, Any]) -> None:
    """In both forms and with all flags; the last one counts, and that of the stage below."""
    assert docker_settings(text) == {"Healthcheck": check}


@pytest.mark.parametrize(
    "text",
    [
        "FROM debian AS build\nHEALTHCHECK CMD a\nFROM debian\nRUN b",
        "FROM debian\nRUN <<EOF\nHEALTHCHECK CMD a\nSHELL []\nEOF\n",
        "FROM debian\n# HEALTHCHECK CMD a\nRUN echo \\\n  ONBUILD RUN a",
        "FROM debian AS base\nONBUILD RUN a\nFROM base",
    ],
)
def test_what_belongs_to_nothing_is_left_out(text: str) -> None:
    """Another stage, a comment, a command and its text; and what ONBUILD does, it has done in the next stage."""
    assert docker_settings(text) == {}


def test_shell_and_onbuild_are_read() -> None:
    """The shell is inherited from the stage below; all of ONBUILD counts, in its order."""
    text = 'FROM debian AS a\nSHELL ["/bin/bash", "-c"]\nFROM a\nONBUILD COPY . /app\nonbuild  RUN make  all'
    assert docker_settings(text) == {"Shell": ["/bin/bash", "-c"], "OnBuild": ["COPY . /app", "RUN make  all"]}


def test_what_a_container_lacks_is_printed() -> None:
    """By the words of the Dockerfile, and nothing where there is nothing."""
    found = describe("small", "Dockerfile", {"Shell": [], "Healthcheck": {}})
    assert found.startswith("small: HEALTHCHECK, SHELL of small/Dockerfile will be in the published image; ")
    assert describe("small", "Dockerfile", {}) == ""
