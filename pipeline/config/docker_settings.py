"""Settings of a Dockerfile that the OCI format does not know, and that Dagger therefore leaves out of an image.

They are the three keys that Docker's image specification adds: HEALTHCHECK, SHELL and ONBUILD. BuildKit checks their
syntax in the build, so a value here is valid.
"""

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from itertools import takewhile
from typing import Any, Final

from pipeline.config.dockerfile import instructions

#: Instructions by their keys in the configuration of an image.
INSTRUCTIONS: Final = {"Healthcheck": "HEALTHCHECK", "Shell": "SHELL", "OnBuild": "ONBUILD"}
#: Flags of HEALTHCHECK by their keys.
_DURATIONS: Final = {
    "interval": "Interval",
    "timeout": "Timeout",
    "start-period": "StartPeriod",
    "start-interval": "StartInterval",
}
#: Units of Go's durations, in nanoseconds.
_UNITS: Final = {
    "ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9,
}  # fmt: skip
_DURATION: Final = re.compile(rf"(\d+\.?\d*|\.\d+)({'|'.join(_UNITS)})")


def docker_settings(dockerfile: str) -> dict[str, Any]:
    """Return these settings of the last stage of a Dockerfile, as the configuration of an image has them.

    A stage has those of the stage that it is built from, but for ONBUILD. Those of a base image are not known here.
    """
    stages: dict[str, dict[str, Any]] = {}
    settings: dict[str, Any] = {}
    for keyword, rest in instructions(dockerfile):
        if keyword == "FROM":
            base, *alias = [word.lower() for word in rest.split() if not word.startswith("--")]
            settings = {key: value for key, value in stages.get(base, {}).items() if key != "OnBuild"}
            # By reference: the instructions of a stage come after its name.
            stages[alias[1] if alias[1:] else str(len(stages))] = settings
        elif keyword == "HEALTHCHECK":
            settings["Healthcheck"] = _health_check(rest)
        elif keyword == "SHELL":
            settings["Shell"] = _strings(rest)
        elif keyword == "ONBUILD":
            settings["OnBuild"] = [*settings.get("OnBuild", []), rest]
    return settings


def describe(image: str, dockerfile: str, settings: Mapping[str, Any]) -> str:
    """Return a sentence about the settings that a container of the engine lacks; an empty string if there are none."""
    if not settings:
        return ""
    names = ", ".join(name for key, name in INSTRUCTIONS.items() if key in settings)
    return (
        f"{image}: {names} of {image}/{dockerfile} will be in the published image; "
        "the container that 'build' returns cannot have it\n"
    )


def _health_check(rest: str) -> dict[str, Any]:
    flags = list(takewhile(lambda word: word.startswith("--"), rest.split()))
    # What follows the flags keeps its blanks.
    kind, command = (*re.sub(r"^(--\S+\s+)*", "", rest).split(maxsplit=1), "")[:2]
    if kind.upper() == "NONE":
        return {"Test": ["NONE"]}
    arguments = _strings(command)
    check: dict[str, Any] = {"Test": ["CMD", *arguments] if arguments else ["CMD-SHELL", command]}
    values = dict(flag.removeprefix("--").split("=", 1) for flag in flags)
    for flag, key in _DURATIONS.items():
        # Zero means the default of Docker, as no value does.
        if nanoseconds := _nanoseconds(values.get(flag, "")):
            check[key] = nanoseconds
    if retries := int(values.get("retries", "0")):
        check["Retries"] = retries
    return check


def _nanoseconds(duration: str) -> int:
    return int(sum(Decimal(number) * _UNITS[unit] for number, unit in _DURATION.findall(duration)))


def _strings(text: str) -> list[str]:
    """Return a JSON array of strings; an empty list for any other text, which Docker takes for a command of a shell."""
    try:
        words = json.loads(text)
    except ValueError:
        return []
    return words if isinstance(words, list) and all(isinstance(word, str) for word in words) else []
