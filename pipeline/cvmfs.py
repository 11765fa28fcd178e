"""CVMFS: findings about an image that its unpackers do not take, and the lines that propose it to them."""

from collections.abc import Iterable, Sequence
from typing import Final

from pipeline.config.image_toml import FILE, ImageSpec
from pipeline.config.toml_locations import first_line_of, format_location
from pipeline.config.validation import listed
from pipeline.inspection import origin_of
from pipeline.scripts.messages import LayerReport

#: Findings about entries of layers, by their kind in ``scripts/check_layers.py``: the problem and the remedy.
ENTRIES: Final = {
    "folder": (
        "are folders that their owner cannot list, enter or write to: an ordinary user who unpacks the image cannot "
        "remove it again",
        "give their owner all three permissions (chmod u+rwx)",
    ),
    "file": ("are files that their owner cannot read", "let their owner read them (chmod u+r)"),
    "id": (
        "belong to a user or group of 65536 or more, which rootless Podman and Kubernetes' user namespaces do not have",
        "give them a lower owner and group (chown)",
    ),
    "device": ("are devices, which an ordinary user cannot make", "remove them: runtimes have a /dev of their own"),
    "hardlink": (
        "are hard links to a file of a lower layer, of which CVMFS makes empty files",
        "copy the files, or make them in the same step",
    ),
    "through": (
        "lie below a symbolic link, of which CVMFS makes a folder that hides what it leads to",
        "write them to the place where the link leads",
    ),
    "parent": (
        "are folders that a layer leaves out and has files in, so that CVMFS gives them mode 0755",
        "make the layer with its folders, as BuildKit does",
    ),
    "twice": ("are twice in one layer, which CVMFS refuses", "make the layer with each path once"),
    "reserved": ("have a name that CVMFS keeps for itself ('.cvmfs…')", "remove or rename them"),
    "variable": ("are links whose target has '$(…)', which CVMFS replaces by a variable", "name another target"),
}
#: Remedy for an image that is not meant for CVMFS.
ELSE: Final = "or say with 'no_cvmfs' why the image does not go to CVMFS"
#: The platform that unpackers take from an index.
TAKEN: Final = "linux/amd64"
GZIP: Final = "gzip"


def find_unready(image: str, spec: ImageSpec, text: str, reports: Iterable[LayerReport]) -> list[str]:
    """Return a finding for each property of an image that keeps it from CVMFS.

    Args:
        image: its name.
        spec: its image.toml.
        text: the text of image.toml.
        reports: the findings in its layers, for each platform.
    """
    findings = []
    if spec.compression != GZIP:
        where = format_location(f"{image}/{FILE}", first_line_of(text, (("compression",),)))
        findings.append(
            f"{where}: the layers of image {image} are compressed by {spec.compression}, and CERN's unpacker reads "
            f"gzip only; remove 'compression', {ELSE}"
        )
    if len(spec.platforms) > 1 and TAKEN not in spec.platforms:
        where = format_location(f"{image}/{FILE}", first_line_of(text, (("platforms",),)))
        findings.append(f"{where}: image {image} has several platforms without {TAKEN}; add it, {ELSE}")
    found: dict[str, str] = {}
    for report in reports:
        # Platforms have the same findings, as a rule; each is reported once.
        for finding in (*_own(image, spec, text, report), *_of_base(image, spec, report)):
            found.setdefault(finding, finding)
    return [*findings, *found]


def _own(image: str, spec: ImageSpec, text: str, report: LayerReport) -> list[str]:
    findings = []
    for kind, (problem, remedy) in ENTRIES.items():
        if paths := report.found.get(kind):
            where = format_location(*origin_of(image, spec, text, paths))
            named = _named(paths, report.counts.get(kind, 0))
            findings.append(f"{where}: in image {image}, {named} {problem}; {remedy}")
    return findings


def _of_base(image: str, spec: ImageSpec, report: LayerReport) -> list[str]:
    where = f"{image}/{spec.dockerfile or FILE}"
    findings = [
        f"{where}: in the base image of {image}, {listed(paths)} {ENTRIES[kind][0]}; choose another base image, {ELSE}"
        for kind, paths in report.found_in_base.items()
    ]
    if others := [name for name in report.types_of_base if not name.endswith(f"+{GZIP}")]:
        findings.append(
            f"{where}: layers of the base image of {image} are of type {listed(others)}, and CERN's unpacker reads "
            f"gzip only; choose another base image, {ELSE}"
        )
    return findings


def _named(paths: Sequence[str], count: int) -> str:
    """Return the first of several paths, with the number of all."""
    return f"{count} path{'s' * (count > 1)} ({listed(paths)})" if count > 1 else paths[0]


def describe_ready(report: LayerReport) -> str:
    """Return the line about an image without findings."""
    text = f"{report.layers} layers, {report.paths} files and folders, nothing that an unpacker trips on"
    if report.joined:
        text += f"; {report.joined} paths differ only in case, which is nothing to CVMFS"
    return text
