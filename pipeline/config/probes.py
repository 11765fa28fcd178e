"""The ``[probes]`` table of image.toml: probes of the smoke test, with their expected results."""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

#: Built-in probes, each a script in ``pipeline/smoke/probes``.
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
        raise ValueError(f"'{value}' is not a path of a request; write one that starts with '/' and has no blanks")
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
    """A command that is started in the image."""

    command: Command
    """Words of the command; it runs without a shell."""

    name: str = ""
    """Name in reports; defaults to the command."""

    user: User | None = None
    """User that runs it, as a name or a number, known to the image or not; defaults to the image's user."""

    entrypoint: bool = True
    """Start it through the image's entrypoint, as ``docker run`` does; if false, without, as ``docker exec`` does."""

    timeout: Seconds | None = None
    """Seconds until it must have ended or answered; defaults to ``timeout`` of ``[probes]``."""

    @property
    def title(self) -> str:
        """Name in reports."""
        return self.name or " ".join(self.command)


class CommandProbe(_Started):
    """A command with an expected exit code and expected output."""

    exit_code: Annotated[int, Field(ge=0, le=255, strict=True)] = 0
    """Expected exit code."""

    stdout_matches: Expression | None = None
    """Regular expression that must match in its standard output."""

    stderr_matches: Expression | None = None
    """Regular expression that must match in its standard error."""


class FileProbe(_Table):
    """A file or folder that must exist."""

    path: Path
    """Absolute path in the image."""

    kind: Literal["file", "folder"] = "file"
    """Expected type; symbolic links are followed."""

    mode: Mode | None = None
    """Expected permissions, in octal digits."""

    owner: User | None = None
    """Expected owner, as a name or number."""

    matches: Expression | None = None
    """Regular expression that must match in its text."""

    @property
    def title(self) -> str:
        """Name in reports."""
        return self.path

    @model_validator(mode="after")
    def _folders_have_no_text(self) -> Self:
        if self.kind == "folder" and self.matches is not None:
            raise ValueError(f"'{self.path}' is a folder, which has no text; leave 'matches' out")
        return self


class ServerProbe(_Started):
    """A server that must answer an HTTP request from another container; its command does not end by itself."""

    port: Annotated[int, Field(gt=0, le=65535, strict=True)]
    """Port that it listens on."""

    path: Request = "/"
    """Path of the request."""

    status: Annotated[int, Field(ge=100, le=599, strict=True)] = 200
    """Expected status of the answer."""

    body_matches: Expression | None = None
    """Regular expression that must match in the body of the answer."""


class Probes(_Table):
    """All probes of an image."""

    scripts: tuple[ScriptName, ...] = ("python",)
    """Built-in scripts, each of which does real work with the software that it is named after."""

    imports: tuple[Module, ...] = ()
    """Python modules that must be importable; each import runs in its own process."""

    timeout: Seconds | None = None
    """Time limit of each probe, in seconds; defaults to ``probe_timeout`` of ``[tool.pipeline]``."""

    commands: tuple[CommandProbe, ...] = ()
    files: tuple[FileProbe, ...] = ()
    servers: tuple[ServerProbe, ...] = ()

    @model_validator(mode="after")
    def _have_distinct_titles(self) -> Self:
        titles: dict[str, Iterable[str]] = {
            "scripts": self.scripts,
            "imports": self.imports,
            "commands": [probe.title for probe in self.commands],
            "files": [probe.title for probe in self.files],
            "servers": [probe.title for probe in self.servers],
        }
        if not any(titles.values()):
            raise ValueError("nothing is probed; name a script, an import, a command, a file or a server")
        for kind, names in titles.items():
            twice = [title for title, count in Counter(names).items() if count > 1]
            if twice:
                remedy = "give each a 'name' of its own" if kind in {"commands", "servers"} else "leave one of them out"
                raise ValueError(f"'{twice[0]}' stands twice among '{kind}'; {remedy}")
        return self
