"""Verification of a SIF file: make it again, compare the bytes, and list the differences."""

import re
from collections.abc import Iterator
from typing import Final

import dagger

from pipeline.build.sif import apptainer, sif_file
from pipeline.build.tool_container import read_script
from pipeline.checkout import Checkout
from pipeline.config.settings import Settings
from pipeline.engine_errors import reason_of
from pipeline.errors import Code, PipelineError
from pipeline.output.tables import draw_table

#: Paths of the two files in the container that compares them.
_GIVEN: Final = "/given.sif"
_BUILT: Final = "/built.sif"
#: Number of differences in a message; the first ones show the cause.
SHOWN: Final = 20
#: Objects of a SIF file besides its file system, by their number.
OBJECTS: Final = {"1": "definition file", "2": "metadata for apptainer inspect", "3": "configuration of the image"}
#: One file in the output of `unsquashfs -lln`: mode, owner, size or numbers of a device, time, path.
_FILE: Final = re.compile(r"(\S+) (\S+) +(\d+(?:, *\d+)?) (\S+ \S+) (.*)")
ATTRIBUTES: Final = ("mode", "owner", "size", "time", "link")

type Difference = tuple[str, str, str, str]


async def verify_sif(checkout: Checkout, image: str, file: dagger.File) -> str:
    """Build an image, make its SIF file, and compare it with a given one.

    Args:
        checkout: the checkout with the image, at the published commit.
        image: the image's name.
        file: the SIF file to compare.

    Raises:
        PipelineError: the image cannot be built, the file is none that can be read, or the bytes differ; the error
            lists the differences.
    """
    source = checkout.image(image)
    architecture = await _architecture(checkout.settings, image, file)
    built = await source.build(f"linux/{architecture}")
    made = await sif_file(checkout.settings, built, checkout.commit.time if checkout.commit else None)
    command = ["sh", "-euc", read_script("compare_sif.sh"), "sh", _GIVEN, _BUILT]
    both = _mounted(checkout.settings, file).with_mounted_file(_BUILT, made)
    try:
        given, own, *lines = (await both.with_exec(command).stdout()).splitlines()
    except (dagger.QueryError, ValueError) as error:
        reason = reason_of(error) if isinstance(error, dagger.QueryError) else "the step that compares gave no report"
        raise PipelineError(
            Code.STEP_FAILED, f"{image}: its SIF file was not compared: {reason}; see that the engine has room"
        ) from error
    theirs, ours = given.split()[0], own.split()[0]
    if theirs == ours:
        return f"{image}: its SIF file has the SHA-256 {ours}; built here, it is the same bytes\n"
    raise PipelineError(Code.DIGEST_MISMATCH, explain(image, theirs, ours, list(differences(lines))))


def explain(image: str, given: str, built: str, found: list[Difference]) -> str:
    """Return the message for a SIF file that differs: a sentence, and a table of differences."""
    text = f"{image}: built here, its SIF file has the SHA-256 {built}, and not {given} of --sif"
    if not found:
        return f"{text}; all files are equal, and their order or compression differs"
    table = draw_table(("what", "differs in", "given", "built"), found[:SHOWN])
    rest = f"and {len(found) - SHOWN} more\n" if len(found) > SHOWN else ""
    return f"{text}; {len(found)} differences, of which a build of the same commit has none:\n{table}{rest}"


def differences(lines: list[str]) -> Iterator[Difference]:
    """Yield the differences in the output of ``compare_sif.sh``: path, attribute, and both values."""
    listed: dict[str, dict[str, dict[str, str]]] = {"given": {}, "built": {}}
    for line in lines:
        side, _, text = line.partition("\t")
        if side == "object":
            yield OBJECTS[text], "content", "", ""
        elif side == "content":
            yield text, "content", "", ""
        elif match := _FILE.fullmatch(text):
            *values, name = match.groups()
            path, _, link = name.partition(" -> ")
            listed[side][path or "/"] = dict(zip(ATTRIBUTES, [*values, link], strict=True))
    for path in sorted(listed["given"].keys() | listed["built"].keys()):
        old, new = listed["given"].get(path), listed["built"].get(path)
        if old is None or new is None:
            yield path, "added" if old is None else "removed", "", ""
        else:
            yield from ((path, name, old[name], new[name]) for name in ATTRIBUTES if old[name] != new[name])


async def _architecture(settings: Settings, image: str, file: dagger.File) -> str:
    """Return the architecture of a SIF file, as Apptainer reads it."""
    try:
        header = await _mounted(settings, file).with_exec(["apptainer", "sif", "header", _GIVEN]).stdout()
    except dagger.QueryError as error:
        raise PipelineError(
            Code.FILE_MISSING, f"{image}: --sif is not a SIF file: {reason_of(error)}; name one that Apptainer can run"
        ) from error
    found = re.search(r"(?m)^Primary Architecture: *(\S+)$", header)
    return found[1] if found else ""


def _mounted(settings: Settings, file: dagger.File) -> dagger.Container:
    return apptainer(settings).with_mounted_file(_GIVEN, file)
