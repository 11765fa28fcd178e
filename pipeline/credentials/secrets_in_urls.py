"""Find passwords and tokens in URLs of a manifest or lock: the image contains both files, readable for all users."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pipeline.errors import Code, PipelineError

#: Files of an image that contain URLs of channels, indexes and packages.
FILES: Final = ("pixi.toml", "pyproject.toml", "pixi.lock")
#: A URL: user information if there is any, the host, and conda's token in front of the name of a channel. The scheme
#: must start at a word boundary, because a search from every letter takes too long in a line of megabytes.
_ADDRESS: Final = re.compile(
    r"(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{0,30}://(?:(?P<who>[^/\s\"'@]*)@)?"
    r"(?P<host>[^/\s\"'@:?#,\]]+)(?::\d+)?(?P<token>/t/[^/\s\"'<>]+)?",
    re.IGNORECASE,
)
#: Shortest user name without a password that counts as a token; names such as `oauth2accesstoken` are shorter.
_TOKEN_LENGTH: Final = 20


def reject_secrets(folder: Path) -> None:
    """Reject passwords and tokens in URLs of an image's manifest and lock.

    Args:
        folder: the image's folder; messages call the image by its name.

    Raises:
        PipelineError: a file contains a secret; the message does not repeat it.
    """
    for name in FILES:
        path = folder / name
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        for line, host, kind in find_secrets(text):
            remedy = f"take it out there, change it at {host}, since it is in the file's history, and give the new one"
            if name.endswith(".lock"):
                remedy = f"take it out of the manifest, lock again with 'dagger call lock --image {folder.name}', "
                remedy += f"change it at {host}, and give the new one"
            raise PipelineError(
                Code.SECRET_IN_URL,
                f"{folder.name}/{name}:{line} has a {kind} in an address at {host}; {remedy} with "
                f"'with-channel-auth --host {host} …' before the function",
            )


def find_secrets(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield each password or token in the URLs of a file: its line, the host, and "password" or "token"."""
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
    """Whether a user name without a password can only be a token."""
    return len(user) >= _TOKEN_LENGTH and any(map(str.isdigit, user)) and any(map(str.isalpha, user))
