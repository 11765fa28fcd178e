"""Run regctl with limits on time and tries, and retry transient failures.

regctl retries some requests by itself: five times in three seconds, without a pause after no answer or 500, 502 or 504,
and with the pause of Retry-After. Its failed requests count as tries here, so that the two do not multiply.
"""

import contextlib
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final, Self

from tenacity import RetryCallState, Retrying, retry_if_exception

from pipeline.scripts.answers import Failure, Request, evaluate
from pipeline.scripts.messages import Job, Kind

#: Bytes that have to move within the timeout, or the registry counts as silent.
PART: Final = 1_000_000
#: Seconds of the first pause between two tries, and of the longest; a registry may ask for a longer one.
PAUSE, LONGEST_PAUSE = 1.0, 60.0
#: Seconds between two lines of progress.
PROGRESS: Final = 5.0
#: Seconds between two polls of a running process.
POLL: Final = 0.05
#: Bytes that a configuration may have; a registry takes no manifest that is half as large.
DOCUMENT: Final = 8_000_000
#: Folder on disk: the container's /tmp is in memory.
DISK: Final = "/var/tmp"  # noqa: S108  # of the container


@dataclass(frozen=True)
class Limits:
    """Limits of an operation."""

    timeout: float
    """Seconds in which a registry has to answer, or to take the next part of an upload."""
    tries: int
    """Number of requests that may fail, regctl's own retries included."""
    seconds: float
    """Seconds after the first failure in which a new try may start."""


@dataclass(frozen=True)
class Target:
    """A file for the output of an operation, and the number of bytes that it may have."""

    file: IO[bytes]
    limit: int

    def failure(self) -> Failure | None:
        """Return the failure of an operation with more output than that."""
        if os.fstat(self.file.fileno()).st_size <= self.limit:
            return None
        return Failure(Kind.REJECTED, f"it gives more than {self.limit} bytes")


@dataclass
class Answer:
    """Result of an operation."""

    output: bytes
    requests: list[Request] = field(default_factory=list)
    tries: int = 1
    seconds: float = 0.0


class Client:
    """regctl with limits."""

    def __init__(self, limits: Limits, *, program: str = "regctl", name: str = "", anonymous: bool = False) -> None:
        self.limits = limits
        self.program = program
        self.name = name
        """The prefix of progress lines."""
        self.anonymous = anonymous
        """Whether regctl runs without credentials."""

    def log_in(self, job: Job, password: str, *, checked: bool = False) -> None:
        """Give regctl the credentials of a job, if there are any; if ``checked``, the registry has to accept them."""
        if job.username:
            login = ("registry", "login", job.host, "--user", job.username, "--pass-stdin")
            self.run(*login, *([] if checked else ["--skip-check"]), stdin=password.encode())

    def without_credentials(self) -> Self:
        """Return a client as everybody has it, for a question that may remain open."""
        limits = Limits(self.limits.timeout, min(self.limits.tries, 3), min(self.limits.seconds, 30))
        return type(self)(limits, program=self.program, name=self.name, anonymous=True)

    def run(self, *arguments: str, stdin: bytes = b"", target: Target | None = None) -> Answer:
        """Run regctl until it succeeds, with growing pauses between the tries.

        Args:
            arguments: its command line.
            stdin: its input.
            target: a file for its output, which is in the answer otherwise.

        Raises:
            Failure: the last try failed; ``tries`` is the number of all.
        """
        started = time.monotonic()
        first_failure = 0.0
        failed = 0

        def pause(state: RetryCallState) -> float:
            retry_after = _failure(state).pause
            growing = min(PAUSE * 2 ** (state.attempt_number - 1), LONGEST_PAUSE)
            return retry_after + random.uniform(0.5, 1.0) * (PAUSE if retry_after else growing)  # noqa: S311  # no secret

        def stop(state: RetryCallState) -> bool:
            nonlocal failed, first_failure
            failed += _failure(state).tries
            first_failure = first_failure or time.monotonic()
            late = time.monotonic() + state.upcoming_sleep > first_failure + self.limits.seconds
            return late or failed >= self.limits.tries

        def log_retry(state: RetryCallState) -> None:
            self.log(f"{_failure(state).reason}; trying again in {state.upcoming_sleep:.1f} s")

        retrying = Retrying(
            retry=retry_if_exception(lambda error: isinstance(error, Failure) and error.kind is Kind.TRANSIENT),
            wait=pause,
            stop=stop,
            before_sleep=log_retry,
            reraise=True,
        )
        try:
            answer: Answer = retrying(self._try, arguments, stdin, target)
        except Failure as failure:
            failure.tries = max(failed, 1)
            raise
        answer.tries = failed + 1 + sum(request.transient for request in answer.requests)
        answer.seconds = time.monotonic() - started
        return answer

    def log(self, text: str) -> None:
        """Print a line of progress."""
        print(f"{self.name}: {text}", file=sys.stderr, flush=True)

    def _try(self, arguments: Sequence[str], stdin: bytes, target: Target | None) -> Answer:
        """Run regctl once."""
        with (
            nullcontext(target.file) if target else tempfile.TemporaryFile() as output,
            tempfile.TemporaryDirectory() as empty,
        ):
            output.seek(0)
            output.truncate()
            command = [self.program, *arguments, "--verbosity", "trace", "--logopt", "json"]
            # regctl reads credentials from its own file and from Docker's.
            places = {"REGCTL_CONFIG": f"{empty}/regctl.json", "DOCKER_CONFIG": empty} if self.anonymous else {}
            with subprocess.Popen(
                command,
                env={**os.environ, **places},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.PIPE,
            ) as process:
                log = Log(process.stderr)
                if process.stdin:
                    # regctl may end before it has read this. Then its message says why, and not the broken pipe.
                    with contextlib.suppress(BrokenPipeError), process.stdin:
                        process.stdin.write(stdin)
                given_up = self._watch(process, log, target)
                # Before the end of the block closes the stream that it reads.
                log.join()
            output.seek(0)
            if given_up:
                raise given_up
            if process.returncode:
                raise evaluate(log.requests, "\n".join(log.messages))
            return Answer(b"" if target else output.read(), log.requests)

    def _watch(self, process: "subprocess.Popen[bytes]", log: "Log", target: Target | None) -> Failure | None:
        """Wait for regctl's exit, or kill it and return the failure."""
        deadline = time.monotonic() + self.limits.timeout
        started = logged = time.monotonic()
        answered = moved = sent = 0
        while True:
            try:
                process.wait(POLL)
            except subprocess.TimeoutExpired:
                now = time.monotonic()
            else:
                return target.failure() if target else None
            if target and (failure := target.failure()):
                process.kill()
                return failure
            sent = bytes_moved(process.pid) or sent
            if len(log.requests) > answered or sent - moved >= PART:
                pauses = [request.retry_after for request in log.requests[answered:]]
                if (pause := max(pauses, default=0.0)) > self.limits.seconds:
                    process.kill()
                    return evaluate(log.requests, "")
                answered, moved = len(log.requests), sent
                deadline = now + pause + self.limits.timeout
            if now > deadline:
                process.kill()
                failed = sum(request.transient for request in log.requests)
                return Failure(Kind.TRANSIENT, f"it did not answer within {self.limits.timeout:g} s", tries=failed + 1)
            if now > logged + PROGRESS:
                logged = now
                self.log(f"{' '.join(arguments_shown(process.args))}: {sent / 1e6:.0f} MB sent, {now - started:.0f} s")


class Log(threading.Thread):
    """Reader of regctl's log while regctl writes it."""

    def __init__(self, stream: IO[bytes] | None) -> None:
        super().__init__(daemon=True)
        self.requests: list[Request] = []
        self.messages: list[str] = []
        self._stream = stream
        self.start()

    def run(self) -> None:
        """Read all lines: requests, and the lines outside the log, which are regctl's last message."""
        for line in self._stream or ():
            text = line.decode(errors="replace").rstrip()
            if request := Request.read(text):
                self.requests.append(request)
            elif text and not text.startswith('{"time"'):
                self.messages.append(text)


def bytes_moved(process: int) -> int:
    """Return the bytes that a process has written to files and connections; 0 if the system has no count."""
    try:
        return int(Path(f"/proc/{process}/io").read_text().split("wchar:")[1].split()[0])
    except (OSError, IndexError, ValueError):
        return 0


def arguments_shown(command: object) -> list[str]:
    """Return the first words of a command, which name the operation; never its input."""
    return [os.fspath(word) for word in command[1:3]] if isinstance(command, list) else []


def _failure(state: RetryCallState) -> Failure:
    error = state.outcome.exception() if state.outcome else None
    return error if isinstance(error, Failure) else Failure(Kind.REJECTED, str(error))
