"""Passwords and tokens in the addresses of a manifest or lock: both files are in the image, for all to read."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pipeline.errors import Code, PipelineError

#: Files of an image that have addresses of channels, indexes and packages.
FILES: Final = ("pixi.toml", "pyproject.toml", "pixi.lock")
#: An address: who asks, where somebody is named; the host; the token that conda has in front of a channel's name. Its
#: scheme begins where a word does: in a line of megabytes each letter could.
_ADDRESS: Final = re.compile(
    r"(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{0,30}://(?:(?P<who>[^/\s\"'@]*)@)?"
    r"(?P<host>[^/\s\"'@:?#,\]]+)(?::\d+)?(?P<token>/t/[^/\s\"'<>]+)?",
    re.IGNORECASE,
)
#: How long a name without a password is that can only be a token; such as `oauth2accesstoken` are shorter.
_TOKEN_LENGTH: Final = 20


def refuse_secrets(folder: Path) -> None:
    """Refuse passwords and tokens in the addresses of an image's manifest and lock.

    Args:
        folder: the image's folder; its name is what messages call the image.

    Raises:
        PipelineError: a file has one. It is not repeated.
    """
    for name in FILES:
        path = folder / name
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        for line, host, found in find_secrets(text):
            remedy = f"take it out there, change it at {host}, since it is in the file's history, and give the new one"
            if name.endswith(".lock"):
                remedy = f"take it out of the manifest, lock again with 'dagger call lock --image {folder.name}', "
                remedy += f"change it at {host}, and give the new one"
            raise PipelineError(
                Code.SECRET_IN_URL,
                f"{folder.name}/{name}:{line} has a {found} in an address at {host}; {remedy} with "
                f"'with-channel-auth --host {host} …' before the function",
            )


def find_secrets(text: str) -> Iterator[tuple[int, str, str]]:
    """Each password or token in the addresses of a file: its line, the host, and which of both it is."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#"):
            continue
        for match in _ADDRESS.finditer(line):
            user, colon, password = (match["who"] or "").partition(":")
            host = match["host"].lower()
            if colon and password:
                yield number, host, "password"
            elif match["token"] or _looks_like_token(user):
                yield number, host, "token"


def _looks_like_token(user: str) -> bool:
    """Whether a name without a password can only be a token."""
    return len(user) >= _TOKEN_LENGTH and any(map(str.isdigit, user)) and any(map(str.isalpha, user))
