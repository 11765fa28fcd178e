"""Run the probes of one image, all at once: each in a container of its own and with a time limit of its own.

Whatever a probe does, the others are not touched by it: a failure of any kind is a result.
"""

import http.client
import importlib.resources
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import anyio
import anyio.to_thread
import dagger
from dagger import dag

from pipeline.config.probes import CommandProbe, FileProbe, Probes, ScriptName, ServerProbe
from pipeline.smoke import evaluate
from pipeline.smoke.evaluate import Ended, Subject
from pipeline.smoke.results import Result

#: Probes that look for GPUs.
GPU_PROBES: Final[frozenset[ScriptName]] = frozenset({"tensorflow"})
#: Seconds that the engine gets beside a probe's own, to start its container.
GRACE: Final = 120
#: Seconds between two questions to a server that does not answer yet.
PAUSE: Final = 0.5
#: What is read of an answer.
BODY: Final = 1_000_000
#: What is said of a probe whose container the engine does not start.
UNSTARTED: Final = "could not be started by the engine, which takes a shell in the image"

_LIMIT: Final = "/probe/limit.sh"
_SCRIPT: Final = "/probe/probe.py"
_FILES: Final = "/probe/files.sh"


@dataclass(frozen=True)
class Prober:
    """What runs the probes of one built image."""

    container: dagger.Container
    subject: Subject
    entrypoint: tuple[str, ...]
    """The image's entrypoint: commands are started through it as ``docker run`` does, yet below the time limit."""

    prefix: str
    """Where the environment is; empty where pixi did not install one."""

    seconds: int
    """The time limit of a probe that has none of its own."""

    gpu: bool = False
    """Give the probes that look for GPUs all of the engine."""

    async def run(self, probes: Probes) -> list[Result]:
        """Run all probes; the results come in the order of image.toml."""
        steps: list[Callable[[], Awaitable[list[Result]]]] = [
            *(partial(self._script, name) for name in probes.scripts),
            *([partial(self._imports, probes.imports)] if probes.imports else []),
            *(partial(self._command, probe) for probe in probes.commands),
            *([partial(self._files, probes.files)] if probes.files else []),
            *(partial(self._server, probe) for probe in probes.servers),
        ]
        results: list[list[Result]] = [[] for _ in steps]

        async def run(number: int) -> None:
            started = time.monotonic()
            took = await steps[number]()
            seconds = time.monotonic() - started
            results[number] = [
                result if result.seconds else result.model_copy(update={"seconds": seconds}) for result in took
            ]

        async with anyio.create_task_group() as tasks:
            for number in range(len(steps)):
                tasks.start_soon(run, number)
        return [result for group in results for result in group]

    async def _script(self, name: ScriptName) -> list[Result]:
        with_gpu = self.gpu and name in GPU_PROBES
        container = self.container.experimental_with_all_gp_us() if with_gpu else self.container
        arguments = {"python": [self.prefix] if self.prefix else [], "tensorflow": ["gpu"] if with_gpu else []}
        end = await self._execute(
            container.with_mounted_file(_SCRIPT, _file("pipeline.smoke.probes", f"{name}.py")),
            ["python3", _SCRIPT, *arguments.get(name, [])],
            self.seconds,
        )
        if with_gpu and end.unstarted:
            failure = "could not be given a GPU by the engine; docs/gpus.md says what it needs"
            return [self.subject.result("script", name, failure=failure, output=end.output)]
        return [evaluate.script(self.subject, name, end, with_gpu=with_gpu)]

    async def _imports(self, modules: Sequence[str]) -> list[Result]:
        end = await self._execute(
            self.container.with_mounted_file(_SCRIPT, _file("pipeline.smoke.probes", "imports.py")),
            ["python3", _SCRIPT, str(self.seconds), *modules],
            # They share the image's processors, and the script stops each of them itself.
            self.seconds * len(modules),
        )
        return evaluate.imports(self.subject, modules, end, self.seconds)

    async def _command(self, probe: CommandProbe) -> list[Result]:
        container = self.container.with_user(probe.user) if probe.user else self.container
        seconds = probe.timeout or self.seconds
        words = self._words(probe)
        end = await self._execute(container, words, seconds, expected=probe.exit_code)
        result = evaluate.command(self.subject, probe, end)
        if result.failure and not end.failure:
            # The engine keeps what exited as it should. What it printed may have been a passing fault: ask again.
            again = container.with_env_variable("PROBED_AT", str(time.time_ns()))
            result = evaluate.command(self.subject, probe, await self._execute(again, words, seconds, probe.exit_code))
        return [result]

    async def _files(self, probes: Sequence[FileProbe]) -> list[Result]:
        arguments = [word for probe in probes for word in ("yes" if probe.matches else "no", probe.path)]
        # As root, whoever starts in the image: what a file is like does not depend on who looks.
        container = self.container.with_user("0").with_mounted_file(_FILES, _file("pipeline.scripts", "files.sh"))
        return evaluate.files(
            self.subject, probes, await self._execute(container, ["sh", _FILES, *arguments], self.seconds)
        )

    async def _server(self, probe: ServerProbe) -> list[Result]:
        container = self.container.with_user(probe.user) if probe.user else self.container
        seconds = probe.timeout or self.seconds
        service = (
            # Two servers that differ in what they are asked only would be one to the engine, and end together.
            container.with_env_variable("PROBE", probe.title)
            .with_mounted_file(_LIMIT, _file("pipeline.scripts", "limit.sh"))
            .with_exposed_port(probe.port)
            .as_service(args=["sh", _LIMIT, str(seconds), "never", *self._words(probe)])
        )
        late = f"did not answer on port {probe.port} within {seconds} s"
        try:
            with anyio.fail_after(seconds + GRACE):
                await service.start()
                endpoint = await service.endpoint(port=probe.port)
                status, body = await _ask(endpoint, probe, time.monotonic() + seconds)
        except dagger.ExecError as error:
            end = evaluate.ended(error.stdout, error.stderr, late)
        except (TimeoutError, OSError, http.client.HTTPException) as error:
            end = Ended(stderr=str(error), failure=late)
        except dagger.QueryError as error:
            end = Ended(stderr=str(error), failure=UNSTARTED)
        else:
            return [evaluate.server(self.subject, probe, status, body)]
        finally:
            with anyio.move_on_after(GRACE, shield=True):
                await _stop(service)
        return [self.subject.result("server", probe.title, failure=end.failure, output=end.output)]

    def _words(self, probe: CommandProbe | ServerProbe) -> list[str]:
        return [*(self.entrypoint if probe.entrypoint else ()), *probe.command]

    async def _execute(
        self, container: dagger.Container, words: Sequence[str], seconds: int, expected: int = 0
    ) -> Ended:
        """Run a command in an image that has a shell; what ended it is told, and never raised."""
        executed = container.with_mounted_file(_LIMIT, _file("pipeline.scripts", "limit.sh")).with_exec(
            ["sh", _LIMIT, str(seconds), str(expected), *words]
        )
        late = f"did not end within {seconds} s"
        try:
            # The script keeps the time. This is for a shell that does not, or an engine that does not start it.
            with anyio.fail_after(seconds + GRACE):
                return Ended(await executed.stdout(), await executed.stderr())
        except TimeoutError:
            return Ended(failure=late)
        except dagger.ExecError as error:
            return evaluate.ended(error.stdout, error.stderr, late, expected)
        except dagger.QueryError as error:
            return Ended(stderr=str(error), failure=UNSTARTED, unstarted=True)


async def _ask(endpoint: str, probe: ServerProbe, deadline: float) -> tuple[int, str]:
    """Ask a server until it answers with anything but an error of its own, or its time is over."""
    while True:
        left = deadline - time.monotonic()
        try:
            status, body = await anyio.to_thread.run_sync(_get, endpoint, probe.path, max(left, 1.0))
        except (OSError, http.client.HTTPException):
            if time.monotonic() + PAUSE > deadline:
                raise
        else:
            if status == probe.status or status < http.HTTPStatus.INTERNAL_SERVER_ERROR or left < PAUSE:
                return status, body
        await anyio.sleep(PAUSE)


def _get(endpoint: str, path: str, seconds: float) -> tuple[int, str]:
    connection = http.client.HTTPConnection(endpoint, timeout=seconds)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read(BODY).decode(errors="replace")
    finally:
        connection.close()


async def _stop(service: dagger.Service) -> None:
    try:
        await service.stop(kill=True)
    except dagger.QueryError:
        # It ended by itself.
        return


def _file(package: str, name: str) -> dagger.File:
    return dag.file(name, importlib.resources.files(package).joinpath(name).read_text(encoding="utf-8"))
