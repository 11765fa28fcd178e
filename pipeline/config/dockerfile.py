"""The images that a Dockerfile names: in FROM, COPY --from and RUN --mount=from, as far as they are part of its image.

BuildKit has no command that lists them. These are its rules for stages, build arguments, continued lines and
here-documents; a name whose variables cannot be resolved before the build is left out.
"""

import csv
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Final

#: Image without content, which no registry has.
NOTHING: Final = "scratch"
_COMMENT: Final = re.compile(r"\s*(#|$)")
#: Line at the beginning of the file that is a setting, such as ``# escape=` ``.
_DIRECTIVE: Final = re.compile(r"\s*#\s*(?P<key>\w+)\s*=\s*(?P<value>\S+)\s*")
#: Word that begins a here-document.
_HEREDOC: Final = re.compile(r"\d*<<(?P<dash>-?)(?P<quote>['\"]?)(?P<end>[^\s'\"<]+)(?P=quote)")
_VARIABLE: Final = re.compile(r"\$(?:(?P<name>\w+)|\{(?P<braced>\w+)(?:(?P<sign>:?[-+])(?P<word>[^{}]*))?\})")


@dataclass(frozen=True)
class NamedImage:
    """An image that a Dockerfile names."""

    name: str
    instruction: str
    """The instruction that names it, in words of the Dockerfile."""


@dataclass
class _Stage:
    name: str
    base: NamedImage | int | None
    """Its image or its stage in FROM; None for nothing, and for a name that is not known."""
    sources: list[NamedImage | int] = field(default_factory=list)
    """Its images, and the other stages that it is made from, by their numbers."""


def named_images(dockerfile: str, arguments: Mapping[str, str], platform: str) -> list[NamedImage]:
    """Return the images that the last stage of a Dockerfile is made from, each once and in the order of the text.

    Args:
        dockerfile: its text.
        arguments: the build arguments that are given; others have their defaults.
        platform: the platform that is built for, such as linux/amd64.
    """
    stages = _read_stages(dockerfile, arguments, platform)
    used: set[int] = set()
    waiting = {len(stages) - 1} if stages else set()
    while waiting:
        used |= waiting
        waiting = {source for number in waiting for source in stages[number].sources if isinstance(source, int)} - used
    found: dict[str, NamedImage] = {}
    for number in sorted(used):
        for source in stages[number].sources:
            if isinstance(source, NamedImage):
                found.setdefault(source.name, source)
    return list(found.values())


def final_base(dockerfile: str, arguments: Mapping[str, str], platform: str) -> str:
    """Return the image whose layers are the lowest ones of a Dockerfile's image; empty if it has none, or is not known.

    Args:
        dockerfile: its text.
        arguments: the build arguments that are given; others have their defaults.
        platform: the platform that is built for, such as linux/amd64.
    """
    stages = _read_stages(dockerfile, arguments, platform)
    base: NamedImage | int | None = len(stages) - 1 if stages else None
    while isinstance(base, int):
        base = stages[base].base
    return base.name if base else ""


def _read_stages(dockerfile: str, arguments: Mapping[str, str], platform: str) -> list[_Stage]:
    stages: list[_Stage] = []
    variables = _platform_arguments(platform)
    variables |= {name: value for name, value in arguments.items() if name in variables}
    named: list[tuple[_Stage, NamedImage]] = []
    for keyword, rest in instructions(dockerfile):
        if keyword == "FROM":
            words = [word for word in _words(rest) if not word.startswith("--")]
            base = NamedImage(_expand(words[0] if words else "", variables), keyword)
            # Here a name means a stage only if that comes before.
            found = _resolve(base, stages)
            stages.append(_Stage(words[2].lower() if words[2:] else "", next(iter(found), None), found))
        elif keyword == "ARG" and not stages:
            for name, sign, default in (word.partition("=") for word in _words(rest)):
                if name in arguments or sign:
                    variables[name] = arguments.get(name, _expand(default, variables))
        elif keyword in _FROM_FLAGS and stages:
            instruction, names = _FROM_FLAGS[keyword]
            flags = takewhile(lambda word: word.startswith("--"), rest.split())
            named += [(stages[-1], NamedImage(name, instruction)) for flag in flags for name in names(flag)]
    for stage, image in named:
        number = int(image.name) if image.name.isdecimal() else len(stages)
        stage.sources += [number] if number < len(stages) else _resolve(image, stages)
    return stages


def _names_in_copy(flag: str) -> list[str]:
    key, _, value = flag.partition("=")
    return [value] if key == "--from" else []


def _names_in_mount(flag: str) -> list[str]:
    key, _, value = flag.partition("=")
    fields = [part.partition("=") for part in next(csv.reader([value]), [])] if key == "--mount" else []
    return [name for field_key, _, name in fields if field_key.lower() == "from"]


#: Instructions whose flags can name an image, the words for that, and the names in a flag.
_FROM_FLAGS: Final[Mapping[str, tuple[str, Callable[[str], list[str]]]]] = {
    "COPY": ("COPY --from", _names_in_copy),
    "RUN": ("RUN --mount", _names_in_mount),
}


def _resolve(image: NamedImage, stages: list[_Stage]) -> list[NamedImage | int]:
    """Return the stage or the image that a name means; nothing for a name that is not known."""
    numbers = [number for number, stage in enumerate(stages) if stage.name and stage.name == image.name.lower()]
    if numbers:
        return [numbers[-1]]
    return [image] if image.name not in {"", NOTHING} and "$" not in image.name else []


def instructions(dockerfile: str) -> Iterator[tuple[str, str]]:
    """Yield each instruction's keyword and the rest of it, on one line and without here-documents."""
    text = dockerfile.removeprefix("\ufeff").splitlines()
    escape = _escape(text)
    continued = re.compile(rf"(?<!{re.escape(escape)}){re.escape(escape)}[ \t]*$")
    lines = iter(text)
    for first in lines:
        if _COMMENT.match(first):
            continue
        line = first
        while continued.search(line):
            following = next((each for each in lines if not _COMMENT.match(each)), "")
            line = continued.sub("", line) + following
        keyword, rest = (*line.split(maxsplit=1), "", "")[:2]
        yield keyword.upper(), rest.strip()
        if keyword.upper() in {"RUN", "COPY", "ADD"}:
            for heredoc in filter(None, map(_HEREDOC.fullmatch, _shell_words(rest))):
                indent = "\t" if heredoc["dash"] else ""
                next((each for each in lines if each.lstrip(indent) == heredoc["end"]), None)


def _escape(lines: list[str]) -> str:
    """Return the escape character, which a directive can change."""
    for directive in takewhile(bool, map(_DIRECTIVE.fullmatch, lines)):
        if directive and directive["key"].lower() == "escape":
            return directive["value"]
    return "\\"


def _words(text: str) -> list[str]:
    """Split an instruction into words, without their quotes."""
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _shell_words(text: str) -> list[str]:
    """Split a command into words with their quotes, as far as its quotes are closed."""
    lexer = shlex.shlex(text, posix=False, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters = True, ""
    words: list[str] = []
    try:
        words.extend(lexer)
    except ValueError:
        return []
    return words


def _platform_arguments(platform: str) -> dict[str, str]:
    """Return the build arguments that every Dockerfile has, as far as the machine that builds does not matter."""
    system, architecture, variant = (*platform.split("/"), "")[:3]
    return {
        "TARGETPLATFORM": platform,
        "TARGETOS": system,
        "TARGETARCH": architecture,
        "TARGETVARIANT": variant,
    }


def _expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace variables, the innermost first; other substitutions stay."""

    def replace(match: re.Match[str]) -> str:
        value = variables.get(match["name"] or match["braced"])
        sign = match["sign"] or ""
        there = bool(value) if sign.startswith(":") else value is not None
        if sign.endswith("+"):
            return match["word"] if there else ""
        return (value if there else match["word"]) or ""

    # At most as deep as there are variables: a value may hold the sign of a variable itself.
    for _ in range(text.count("$")):
        text = _VARIABLE.sub(replace, text)
    return text
