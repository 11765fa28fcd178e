"""Requests of a server probe, to servers of a few bytes on this machine: each ends in the probe's time."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio
import httpx
import pytest

from pipeline.config.probes import ServerProbe
from pipeline.smoke.server_requests import BODY, ask

pytestmark = pytest.mark.asyncio

PROBE = ServerProbe(command=("server",), port=80)
#: Seconds: the limit of a probe that gets no answer, the silence of a server, and far more than an answer takes.
SECONDS, SILENCE, HANGS = 0.3, 3, 60

type Answer = Callable[[socket.socket], None]


@contextmanager
def server(*answers: Answer) -> Iterator[str]:
    """Answer the first request by the first function, and so on; those after the last one by the last."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            for number in range(100):
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                answer = answers[min(number, len(answers) - 1)]
                threading.Thread(target=speak, args=(connection, answer), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)


def speak(connection: socket.socket, answer: Answer) -> None:
    """Read a request, and answer it until the client has left."""
    with connection:
        try:
            connection.recv(10_000)
            answer(connection)
        except OSError:
            return


def sending(text: str) -> Answer:
    """A whole answer."""
    return lambda connection: connection.sendall(text.encode())


def trickling(begin: str) -> Answer:
    """A byte now and then, without an end."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(begin.encode())
        while True:
            connection.sendall(b"x")
            time.sleep(0.02)

    return answer


@pytest.mark.parametrize("begin", ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\n\r\n"], ids=["line", "head", "body"])
async def test_a_byte_now_and_then_is_no_answer(begin: str) -> None:
    """The limit is for the whole answer, in whichever part of it the server takes its time."""
    with server(trickling(begin)) as endpoint, pytest.raises(TimeoutError, match="its answer did not end"):
        # Without the limit it would not end; this one's error has no such words.
        with anyio.fail_after(HANGS):
            await ask(endpoint, PROBE, SECONDS)


async def test_silence_is_no_answer() -> None:
    """A server that accepts the connection and says nothing."""
    with server(lambda _: time.sleep(SILENCE)) as endpoint, pytest.raises(TimeoutError):
        await ask(endpoint, PROBE, SECONDS)


async def test_a_server_may_need_time_to_start() -> None:
    """Server errors are asked again, until it answers."""
    begins = sending("HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n")
    ready = sending("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    with server(begins, ready) as endpoint:
        assert await ask(endpoint, PROBE, HANGS) == (200, "ok")


async def test_the_last_answer_counts() -> None:
    """A server that never starts well is reported with its status, and not as silent."""
    with server(sending("HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n")) as endpoint:
        assert await ask(endpoint, PROBE, SECONDS) == (503, "")


async def test_an_endless_answer_is_cut() -> None:
    """No more is read than is needed to look for the expected text."""

    def flood(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 100_000)

    with server(flood) as endpoint:
        assert await ask(endpoint, PROBE, HANGS) == (200, "x" * BODY)


async def test_another_protocol_is_no_answer() -> None:
    """The reason is httpx's."""
    with server(sending("SSH-2.0-OpenSSH_9.2\r\n")) as endpoint, pytest.raises(httpx.HTTPError):
        await ask(endpoint, PROBE, SECONDS)
