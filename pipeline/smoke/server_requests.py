"""Requests to a server that may still start: each ends in the probe's time, whatever the server sends."""

import http
import time
from typing import Final

import anyio
import httpx

from pipeline.config.probes import ServerProbe

#: Seconds between two requests to a server that does not answer yet.
PAUSE: Final = 0.5
#: Bytes that are read of an answer.
BODY: Final = 1_000_000


async def ask(endpoint: str, probe: ServerProbe, seconds: float) -> tuple[int, str]:
    """Request a path until the answer is expected or no server error, or the time is over; return status and body.

    Args:
        endpoint: host and port of the server.
        probe: the probe with the path.
        seconds: time limit for all requests together, whatever the server sends in it.

    Raises:
        TimeoutError: the last answer did not end in time.
        OSError, httpx.HTTPError: the server cannot be reached, or does not speak HTTP.
    """
    deadline = time.monotonic() + seconds
    async with httpx.AsyncClient(timeout=None, trust_env=False) as client:  # noqa: S113  # _get limits the whole
        while True:
            left = deadline - time.monotonic()
            try:
                status, body = await _get(client, f"http://{endpoint}{probe.path}", max(left, PAUSE))
            except (TimeoutError, OSError, httpx.HTTPError):
                if time.monotonic() + PAUSE > deadline:
                    raise
            else:
                if status == probe.status or status < http.HTTPStatus.INTERNAL_SERVER_ERROR or left < PAUSE:
                    return status, body
            await anyio.sleep(PAUSE)


async def _get(client: httpx.AsyncClient, url: str, seconds: float) -> tuple[int, str]:
    body = b""
    try:
        # For the whole answer: a limit for each read would let a server go on for ever that sends a byte now and then.
        with anyio.fail_after(seconds):
            # A new connection for each request: a server that starts may close the others.
            headers = {"Connection": "close", "Accept-Encoding": "identity"}
            async with client.stream("GET", url, headers=headers) as answer:
                async for part in answer.aiter_raw():
                    body += part
                    if len(body) >= BODY:
                        break
                return answer.status_code, body[:BODY].decode(errors="replace")
    except TimeoutError:
        raise TimeoutError("its answer did not end") from None
