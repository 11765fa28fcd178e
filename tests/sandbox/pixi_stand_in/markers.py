"""Markers of PyPI requirements, for a Python of a version on a platform."""

from collections.abc import Mapping

from packaging.markers import Marker

from .platforms import Platform


def applies(marker: str | None, platform: Platform, python: str, extra: str = "") -> bool:
    """Whether a requirement with a marker counts."""
    return not marker or Marker(marker).evaluate({**marker_environment(platform, python), "extra": extra})


def marker_environment(platform: Platform, python: str) -> Mapping[str, str]:
    """What markers are about: a Python of a version on a platform."""
    system = {"linux": "Linux", "osx": "Darwin", "win": "Windows"}.get(platform.family, "")
    machine = {"64": "x86_64", "arm64": "arm64"}.get(
        platform.subdir.partition("-")[2], platform.subdir.partition("-")[2]
    )
    return {
        "implementation_name": "cpython",
        "implementation_version": python,
        "os_name": "nt" if platform.family == "win" else "posix",
        "platform_machine": "AMD64" if platform.subdir == "win-64" else machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": system,
        "platform_version": "",
        "python_full_version": python,
        "python_version": ".".join(python.split(".")[:2]),
        "sys_platform": {"osx": "darwin", "win": "win32"}.get(platform.family, platform.family),
    }
