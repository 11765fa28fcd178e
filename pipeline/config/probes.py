"""The ``[probes]`` table of image.toml: what a smoke test starts in an image, and what must come of it."""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

#: Probes that the pipeline brings, each a script in ``pipeline/smoke/probes``.
ScriptName = Literal["python", "root", "tensorflow"]

_MODULE: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_USER: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?")


def _is_module(value: str) -> str:
    if not _MODULE.fullmatch(value):
        raise ValueError(
            f"'{value}' is not the name of a module; "
            "write what stands after 'import', such as 'sklearn' for scikit-learn"
        )
    return value


def _is_expression(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(
            f"'{value}' is not a regular expression ({error}); write one as Python's re has them"
        ) from error
    return value


def _is_list_of_words(value: object) -> object:
    if isinstance(value, str):
        words = ", ".join(f'"{word}"' for word in value.split())
        raise ValueError(f"no shell splits a command here; write a list of its words: [{words}]")  # noqa: TRY004  # pydantic's
    if not value:
        raise ValueError("an empty list starts nothing; write the words of a command")
    return value


def _is_user(value: str) -> str:
    if not _USER.fullmatch(value):
        raise ValueError(f"'{value}' is not a user; write a name or a number, with a group after ':' if need be")
    return value


def _is_absolute(value: str) -> str:
    if not value.startswith("/") or ".." in PurePosixPath(value).parts:
        raise ValueError(f"'{value}' is not an absolute path; start it with '/'")
    return value


def _is_request(value: str) -> str:
    if not re.fullmatch(r"/\S*", value):
        raise ValueError(f"'{value}' cannot be asked for; write a path that starts with '/' and has no blanks")
    return value


def _is_octal(value: str) -> str:
    if not re.fullmatch(r"0?[0-7]{3,4}", value):
        raise ValueError(f"'{value}' is not a file mode; write octal digits such as '0644'")
    return value


Seconds = Annotated[int, Field(gt=0, le=3600, strict=True)]
Module = Annotated[str, AfterValidator(_is_module)]
Expression = Annotated[str, AfterValidator(_is_expression)]
Command = Annotated[tuple[str, ...], BeforeValidator(_is_list_of_words)]
User = Annotated[str, AfterValidator(_is_user)]
Path = Annotated[str, AfterValidator(_is_absolute)]
Request = Annotated[str, AfterValidator(_is_request)]
Mode = Annotated[str, AfterValidator(_is_octal)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Started(_Table):
    """Something that is started in the image."""

    command: Command
    """The words of the command; no shell sees them."""

    name: str = ""
    """What reports call it; the command itself where nothing is said."""

    user: User | None = None
    """Who runs it, as a name or number that the image need not know; the image's own user where nothing is said."""

    entrypoint: bool = True
    """Start it through the image's entrypoint, as ``docker run`` does; otherwise without, as ``docker exec``."""

    timeout: Seconds | None = None
    """Seconds in which it must have ended, or answered; those of ``[probes]`` where nothing is said."""

    @property
    def title(self) -> str:
        """What reports call it."""
        return self.name or " ".join(self.command)


class CommandProbe(_Started):
    """A command that must end as it should, and say what it should."""

    exit_code: Annotated[int, Field(ge=0, le=255, strict=True)] = 0
    """What it must exit with."""

    stdout_matches: Expression | None = None
    """A regular expression that must be found in what it prints."""

    stderr_matches: Expression | None = None
    """A regular expression that must be found in what it prints as errors."""


class FileProbe(_Table):
    """A file or folder that must be there."""

    path: Path
    """Its absolute path in the image."""

    kind: Literal["file", "folder"] = "file"
    """What it must be; a symbolic link counts as what it leads to."""

    mode: Mode | None = None
    """The permissions that it must have, in octal digits."""

    owner: User | None = None
    """Whose it must be, as a name or number."""

    matches: Expression | None = None
    """A regular expression that must be found in its text."""

    @property
    def title(self) -> str:
        """What reports call it."""
        return self.path

    @model_validator(mode="after")
    def _folders_have_no_text(self) -> Self:
        if self.kind == "folder" and self.matches is not None:
            raise ValueError(f"'{self.path}' is a folder, which has no text; leave 'matches' out")
        return self


class ServerProbe(_Started):
    """A server that must answer over HTTP, asked from another container; its command does not end by itself."""

    port: Annotated[int, Field(gt=0, le=65535, strict=True)]
    """The port that it listens on."""

    path: Request = "/"
    """The path that is asked for."""

    status: Annotated[int, Field(ge=100, le=599, strict=True)] = 200
    """The status that it must answer with."""

    body_matches: Expression | None = None
    """A regular expression that must be found in its answer."""


class Probes(_Table):
    """All probes of one image."""

    scripts: tuple[ScriptName, ...] = ("python",)
    """Scripts of the pipeline that do real work with what they are called after."""

    imports: tuple[Module, ...] = ()
    """Python modules that must be importable, each in a process of its own."""

    timeout: Seconds | None = None
    """Seconds that one probe may take; where there are none, the ones of ``[tool.pipeline]``."""

    commands: tuple[CommandProbe, ...] = ()
    files: tuple[FileProbe, ...] = ()
    servers: tuple[ServerProbe, ...] = ()

    @model_validator(mode="after")
    def _can_be_told_apart(self) -> Self:
        titles: dict[str, Iterable[str]] = {
            "scripts": self.scripts,
            "imports": self.imports,
            "commands": [probe.title for probe in self.commands],
            "files": [probe.title for probe in self.files],
            "servers": [probe.title for probe in self.servers],
        }
        if not any(titles.values()):
            raise ValueError("nothing is probed; name a script, an import, a command, a file or a server")
        for kind, given in titles.items():
            twice = [title for title, count in Counter(given).items() if count > 1]
            if twice:
                remedy = "give each a 'name' of its own" if kind in {"commands", "servers"} else "leave one of them out"
                raise ValueError(f"'{twice[0]}' stands twice among '{kind}'; {remedy}")
        return self
