"""What a registry answered to regctl, and what kind of failure that is.

regctl writes each request and its answer into its log, as JSON. That tells more than its last message does: after too
many answers 429, for one, it only says that there were too many tries.
"""

import base64
import enum
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Self
from urllib.parse import parse_qs, urlsplit

#: What a connection fails with that another try does not change.
LASTING: Final = ("x509:", "no such host", "HTTP response to HTTPS client", "unsupported protocol scheme")


class Kind(enum.StrEnum):
    """What kind of failure it is; only one that is passing is tried again."""

    TRANSIENT = "transient"
    DENIED = "denied"
    MISSING = "missing"
    MISMATCH = "mismatch"
    REJECTED = "rejected"


@dataclass(frozen=True)
class Request:
    """One request of regctl, and what came of it."""

    method: str
    url: str
    status: int = 0
    """Of HTTP; 0 where there was no answer."""
    error: str = ""
    """Why there was no answer."""
    retry_after: float = 0.0
    """Seconds that the registry asks to wait."""

    @classmethod
    def read(cls, line: str) -> Self | None:
        """Read a line of regctl's log; None where it tells of no request."""
        try:
            entry: dict[str, Any] = json.loads(line)
            method, url = entry["req-method"], entry["req-url"]
        except (ValueError, KeyError, TypeError):
            return None
        status = str(entry.get("resp-status", "")).partition(" ")[0]
        pause = (entry.get("resp-headers") or {}).get("Retry-After", [""])[0]
        return cls(
            method,
            url,
            int(status) if status.isdigit() else 0,
            str(entry.get("err", "")),
            float(pause) if pause.isdigit() else 0.0,
        )

    @property
    def transient(self) -> bool:
        """Whether it failed in a way that may pass."""
        if self.status == 0:
            return not any(text in self.error for text in LASTING) and "context canceled" not in self.error
        return self.status in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS) or self.status >= 500  # noqa: PLR2004

    @property
    def uploaded(self) -> str:
        """The digest of the blob that it finished uploading, or nothing."""
        if self.method != "PUT" or self.status not in (HTTPStatus.CREATED, HTTPStatus.NO_CONTENT):
            return ""
        return parse_qs(urlsplit(self.url).query).get("digest", [""])[0]

    def told(self) -> str:
        """What came of it, for people: without the query, in which uploads have their state."""
        if self.status == 0:
            cause = self.error.rpartition('": ')[2]
            return f"the connection failed ({cause})"
        name = HTTPStatus(self.status).phrase if self.status in HTTPStatus else "no name"
        pause = f", to be asked again after {self.retry_after:.0f} s" if self.retry_after else ""
        return f"it answered {self.status} ({name}) to {self.method} {urlsplit(self.url).path}{pause}"


class Failure(Exception):  # noqa: N818  # what failed, not an error of ours
    """An operation failed; the text says why."""

    def __init__(self, kind: Kind, reason: str, *, tries: int = 1, pause: float = 0.0) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason
        self.tries = tries
        self.pause = pause
        """Seconds that the registry asks to wait."""


def judge(requests: Iterable[Request], message: str) -> Failure:
    """Why regctl failed, from what it asked and what it said last.

    What may pass comes before what it led to: the rest of an upload that was cut off is refused, and that is no reason.
    """
    made = list(requests)
    if transient := [request for request in made if request.transient]:
        return Failure(Kind.TRANSIENT, transient[-1].told(), tries=len(transient), pause=transient[-1].retry_after)
    failed = [request for request in made if not 0 < request.status < HTTPStatus.BAD_REQUEST]
    if failed and not failed[-1].status:
        return Failure(Kind.REJECTED, failed[-1].told())
    told = re.findall(r"\[http (\d+)\]", message)
    status = int(told[-1]) if told else (failed[-1].status if failed else 0)
    last = failed[-1].told() if failed else message.strip() or "regctl ended without a word"
    # Blobs that are not there yet are asked for and missing: only what the message is about counts.
    reason = _answer(message) or (last if told or "unauthorized" in message else message.strip() or last)
    if "digest" in message and ("mismatch" in message or "unexpected digest" in message):
        return Failure(Kind.MISMATCH, message.strip())
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return Failure(Kind.DENIED, reason)
    return Failure(Kind.MISSING if status == HTTPStatus.NOT_FOUND else Kind.REJECTED, reason)


def _answer(message: str) -> str:
    """The registry's own words in regctl's last message, if there are any."""
    try:
        found = json.loads(message[message.index('{"errors"') :].strip())["errors"][0]
        return f"{found['code']}: {found['message']}"
    except (ValueError, KeyError, IndexError, TypeError):
        return ""


def without_secret(text: str, username: str, password: str) -> str:
    """A text in which a registry may have repeated what it was sent."""
    if not password:
        return text
    basic = base64.b64encode(f"{username}:{password}".encode()).decode()
    return text.replace(password, "***").replace(basic, "***")
