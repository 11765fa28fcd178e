"""Runner for the probes of one image, all at once: each has its own container and its own time limit.

Probes do not affect each other: a failure of any kind is a result.
"""

import importlib.resources
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import anyio
import dagger
import httpx
from dagger import dag

from pipeline.build.tool_container import with_scripts
from pipeline.concurrency import results_of
from pipeline.config.probes import CommandProbe, FileProbe, Probes, ScriptName, ServerProbe
from pipeline.smoke import evaluate
from pipeline.smoke.evaluate import Ended, Subject
from pipeline.smoke.results import Result
from pipeline.smoke.server_requests import ask

#: Probes that look for GPUs.
GPU_PROBES: Final[frozenset[ScriptName]] = frozenset({"tensorflow"})
#: Seconds for the engine to start a container, in addition to the probe's own.
GRACE: Final = 120

#: Failures of a probe whose container the engine does not start, and whose program the image lacks.
UNSTARTED: Final = "could not be started by the engine"
MISSING: Final = "needs {}, which the image does not have"
#: The shell of the script that limits the time of a command.
SHELL: Final = "sh"

_LIMIT: Final = "/probe/limit.sh"
_SCRIPT: Final = "/probe/probe.py"
#: Mount point of the image where a tool looks into it.
_IMAGE: Final = "/image"


@dataclass(frozen=True)
class Prober:
    """Runner for the probes of one built image."""

    container: dagger.Container
    subject: Subject
    entrypoint: tuple[str, ...]
    """The image's entrypoint: commands start through it, as with ``docker run``, but under the time limit."""

    prefix: str
    """Path of the environment; empty where pixi did not install one."""

    seconds: int
    """Time limit of a probe that has none of its own."""

    tools: str
    """Image with Python, which looks at files."""

    gpu: bool = False
    """Whether to give all GPUs of the engine to the probes that look for them."""

    async def run(self, probes: Probes) -> list[Result]:
        """Run all probes, and return the results in the order of image.toml."""
        steps: list[Callable[[], Awaitable[list[Result]]]] = [
            *(partial(self._script, name) for name in probes.scripts),
            *([partial(self._imports, probes.imports)] if probes.imports else []),
            *(partial(self._command, probe) for probe in probes.commands),
            *([partial(self._files, probes.files)] if probes.files else []),
            *(partial(self._server, probe) for probe in probes.servers),
        ]

        async def run(step: Callable[[], Awaitable[list[Result]]]) -> list[Result]:
            started = time.monotonic()
            group = await step()
            seconds = time.monotonic() - started
            return [result if result.seconds else result.model_copy(update={"seconds": seconds}) for result in group]

        return [result for group in await results_of(run, steps) for result in group]

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
            failure = "could not be given a GPU by the engine; docs/gpus.md lists what it needs"
            return [self.subject.result("script", name, failure=failure, output=end.output)]
        return [evaluate.script(self.subject, name, end, with_gpu=with_gpu)]

    async def _imports(self, modules: Sequence[str]) -> list[Result]:
        end = await self._execute(
            self.container.with_mounted_file(_SCRIPT, _file("pipeline.smoke.probes", "imports.py")),
            ["python3", _SCRIPT, str(self.seconds), *modules],
            # The modules share the processors, and the script itself stops each of them after its time.
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
            # The engine caches a command with the expected exit code. Its output may show a transient fault: run again.
            again = container.with_env_variable("PROBED_AT", str(time.time_ns()))
            result = evaluate.command(self.subject, probe, await self._execute(again, words, seconds, probe.exit_code))
        return [result]

    async def _files(self, probes: Sequence[FileProbe]) -> list[Result]:
        arguments = [word for probe in probes for word in ("yes" if probe.matches else "no", probe.path)]
        looking = (
            dag.container()
            .from_(self.tools)
            .with_(with_scripts("folders.py", "files.py"))
            .with_mounted_directory(_IMAGE, self.container.rootfs())
        )
        command = ["python", "-m", "pipeline.scripts.files", _IMAGE, *arguments]
        return evaluate.files(self.subject, probes, await self._execute(looking, command, self.seconds))

    async def _server(self, probe: ServerProbe) -> list[Result]:
        container = self.container.with_user(probe.user) if probe.user else self.container
        seconds = probe.timeout or self.seconds
        # The engine would take two servers that differ in their path only for one, and end them together.
        container = container.with_env_variable("PROBE", probe.title).with_exposed_port(probe.port)
        words = self._words(probe)
        limited = ["sh", _LIMIT, str(seconds), "never", *words]
        with_limit = container.with_mounted_file(_LIMIT, _file("pipeline.scripts", "limit.sh"))
        end = await self._serve(with_limit.as_service(args=limited), probe, seconds)
        if isinstance(end, Ended) and evaluate.missing_program(end.stderr) == SHELL:
            end = await self._serve(container.as_service(args=words), probe, seconds)
        if isinstance(end, Result):
            return [end]
        missing = evaluate.missing_program(end.stderr)
        failure = MISSING.format(missing) if missing else end.failure
        return [self.subject.result("server", probe.title, failure=failure, output=end.output)]

    async def _serve(self, service: dagger.Service, probe: ServerProbe, seconds: int) -> Result | Ended:
        """Start a server, request its path, and stop it; return the result, or the end of one that did not answer."""
        late = f"did not answer on port {probe.port} within {seconds} s"
        try:
            with anyio.fail_after(seconds + GRACE):
                await service.start()
                endpoint = await service.endpoint(port=probe.port)
                status, body = await ask(endpoint, probe, seconds)
        except dagger.ExecError as error:
            return evaluate.ended(error.stdout, error.stderr, late)
        except (TimeoutError, OSError, httpx.HTTPError) as error:
            return Ended(stderr=str(error), failure=late)
        except dagger.QueryError as error:
            return Ended(stderr=str(error), failure=UNSTARTED)
        else:
            return evaluate.server(self.subject, probe, status, body)
        finally:
            with anyio.move_on_after(GRACE, shield=True):
                await _stop(service)

    def _words(self, probe: CommandProbe | ServerProbe) -> list[str]:
        return [*(self.entrypoint if probe.entrypoint else ()), *probe.command]

    async def _execute(
        self, container: dagger.Container, words: Sequence[str], seconds: int, expected: int = 0
    ) -> Ended:
        """Run a command in an image; return a failure of any kind, and never raise it."""
        late = f"did not end within {seconds} s"
        try:
            # The script enforces the limit. This one is for a script that hangs, or an engine that does not start it.
            with anyio.fail_after(seconds + GRACE):
                return await _limited(container, words, seconds, expected)
        except TimeoutError:
            return Ended(failure=late)
        except dagger.ExecError as error:
            if evaluate.missing_program(error.stderr) != SHELL:
                return evaluate.ended(error.stdout, error.stderr, late, expected)
        except dagger.QueryError as error:
            return Ended(stderr=str(error), failure=UNSTARTED, unstarted=True)
        return await self._execute_without_shell(container, words, seconds, expected)

    async def _execute_without_shell(
        self, container: dagger.Container, words: Sequence[str], seconds: int, expected: int
    ) -> Ended:
        """Run a command in an image in which no script can enforce the limit."""
        try:
            with anyio.fail_after(seconds + GRACE):
                return await _plain(container, words, expected)
        except TimeoutError:
            return Ended(failure=f"did not end within {seconds} s")
        except dagger.ExecError as error:
            return _exited(error.stdout, error.stderr, error.exit_code, expected)
        except dagger.QueryError as error:
            return Ended(stderr=str(error), failure=UNSTARTED, unstarted=True)


async def _limited(container: dagger.Container, words: Sequence[str], seconds: int, expected: int) -> Ended:
    limited = container.with_mounted_file(_LIMIT, _file("pipeline.scripts", "limit.sh"))
    executed = limited.with_exec(["sh", _LIMIT, str(seconds), str(expected), *words])
    return Ended(await executed.stdout(), await executed.stderr())


async def _plain(container: dagger.Container, words: Sequence[str], expected: int) -> Ended:
    # The engine keeps what succeeds: only an expected exit code may count as that.
    expect = dagger.ReturnType.FAILURE if expected else dagger.ReturnType.SUCCESS
    executed = container.with_exec(list(words), expect=expect)
    return _exited(await executed.stdout(), await executed.stderr(), await executed.exit_code(), expected)


def _exited(stdout: str, stderr: str, code: int, expected: int) -> Ended:
    if missing := evaluate.missing_program(stderr):
        return Ended(stdout, stderr, MISSING.format(missing), code)
    return evaluate.exited(stdout, stderr, code, expected)


async def _stop(service: dagger.Service) -> None:
    try:
        await service.stop(kill=True)
    except dagger.QueryError:
        # It ended by itself.
        return


def _file(package: str, name: str) -> dagger.File:
    return dag.file(name, importlib.resources.files(package).joinpath(name).read_text(encoding="utf-8"))
