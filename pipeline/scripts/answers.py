"""Requests and answers in regctl's log, and the kind of failure that they show.

regctl logs each request and its answer as JSON. The log has more than regctl's last message: after too many answers
429, for example, the message has only the number of tries.
"""

import base64
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Self
from urllib.parse import parse_qs, urlsplit

from pipeline.scripts.messages import Kind

#: Codes of a registry that has lost a layer: regctl sends a manifest only when its layers are there.
LOST: Final = ("BLOB_UNKNOWN", "MANIFEST_BLOB_UNKNOWN")
#: Parts of connection errors that a retry cannot change.
PERMANENT: Final = ("x509:", "no such host", "HTTP response to HTTPS client", "unsupported protocol scheme")


@dataclass(frozen=True)
class Request:
    """One request of regctl, and its answer."""

    method: str
    url: str
    status: int = 0
    """HTTP status; 0 without an answer."""
    error: str = ""
    """The reason why there was no answer."""
    retry_after: float = 0.0
    """Seconds to wait, from the registry's Retry-After."""

    @classmethod
    def read(cls, line: str) -> Self | None:
        """Read a line of regctl's log; None if it is not about a request."""
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
        """Whether it failed in a way that a retry may change."""
        if self.status == 0:
            return not any(text in self.error for text in PERMANENT) and "context canceled" not in self.error
        passing = self.status in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
        return passing or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR or self.lost_upload

    @property
    def lost_upload(self) -> bool:
        """Whether the registry does not know an upload that it accepted a moment ago, as ghcr.io does sometimes.

        The upload's address came from the registry, so nothing but the registry can be the reason.
        """
        return (
            self.status == HTTPStatus.NOT_FOUND
            and self.method in ("PUT", "PATCH")
            and "/blobs/" in urlsplit(self.url).path
        )

    @property
    def uploaded(self) -> str:
        """The digest of the blob whose upload it completed; empty without one."""
        if self.method != "PUT" or self.status not in (HTTPStatus.CREATED, HTTPStatus.NO_CONTENT):
            return ""
        return parse_qs(urlsplit(self.url).query).get("digest", [""])[0]

    def describe(self) -> str:
        """Return the answer as a clause for people, without the query of the URL, which has the state of uploads."""
        if self.status == 0:
            cause = self.error.rpartition('": ')[2]
            return f"the connection failed ({cause})"
        name = HTTPStatus(self.status).phrase if self.status in HTTPStatus else "no name"
        pause = f", to be asked again after {self.retry_after:.0f} s" if self.retry_after else ""
        pause += ": it has lost the upload" if self.lost_upload else ""
        return f"it answered {self.status} ({name}) to {self.method} {urlsplit(self.url).path}{pause}"


class Failure(Exception):  # noqa: N818  # what failed, not an error of ours
    """Failure of an operation; the text is its reason."""

    def __init__(self, kind: Kind, reason: str, *, tries: int = 1, pause: float = 0.0) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason
        self.tries = tries
        self.pause = pause
        """Seconds to wait, from the registry's Retry-After."""


def evaluate(requests: Iterable[Request], message: str) -> Failure:
    """Return the failure of regctl, from its requests and its last message.

    A transient failure comes before its consequences: the registry rejects the rest of an interrupted upload, which is
    not the reason.
    """
    made = list(requests)
    if transient := _transient(made):
        return Failure(Kind.TRANSIENT, transient[-1].describe(), tries=len(transient), pause=transient[-1].retry_after)
    failed = [request for request in made if not 0 < request.status < HTTPStatus.BAD_REQUEST]
    if failed and not failed[-1].status:
        return Failure(Kind.REJECTED, failed[-1].describe())
    statuses = re.findall(r"\[http (\d+)\]", message)
    status = int(statuses[-1]) if statuses else (failed[-1].status if failed else 0)
    last = failed[-1].describe() if failed else message.strip() or "regctl exited without a message"
    code, text = _error(message)
    answer = f"{code}: {text}" if code else ""
    # An upload first asks for the blob and gets 404, so a failed request counts only if the message is about it.
    reason = answer or (last if statuses or "unauthorized" in message else message.strip() or last)
    if "digest" in message and ("mismatch" in message or "unexpected digest" in message):
        return Failure(Kind.MISMATCH, message.strip())
    writing = bool(failed) and failed[-1].method == "PUT"
    return Failure(_kind(status, code if writing else "", text if writing else ""), reason)


def _kind(status: int, code: str, text: str) -> Kind:
    """Return the kind of a failure from the registry's last answer; code and text are those of one to a manifest."""
    if code in LOST:
        return Kind.TRANSIENT
    # Harbor answers 412, Docker Hub 403, and others 400.
    if "immutab" in text:
        return Kind.IMMUTABLE
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return Kind.DENIED
    return Kind.MISSING if status == HTTPStatus.NOT_FOUND else Kind.REJECTED


def _transient(made: Iterable[Request]) -> list[Request]:
    """Return the transient failures; regctl goes on with an upload that is lost, and that is no failure more."""
    found: list[Request] = []
    failed: set[str] = set()
    for request in filter(lambda request: request.transient, made):
        path = urlsplit(request.url).path
        if not (request.lost_upload and path in failed):
            found.append(request)
        failed.add(path)
    return found


def _error(message: str) -> tuple[str, str]:
    """Return the code and the text of the registry's own error in regctl's last message; empty without one."""
    try:
        error = json.loads(message[message.index('{"errors"') :].strip())["errors"][0]
        return str(error["code"]), str(error["message"])
    except (ValueError, KeyError, IndexError, TypeError):
        return "", ""


def without_secret(text: str, username: str, password: str) -> str:
    """Return a text without the credentials, which a registry may have repeated."""
    if not password:
        return text
    basic = base64.b64encode(f"{username}:{password}".encode()).decode()
    return text.replace(password, "***").replace(basic, "***")
