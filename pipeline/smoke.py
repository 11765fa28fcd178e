"""Smoke tests: which probes an image is given, how one is run, and what all of them found together."""

import importlib.resources
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Final

import anyio
import dagger
from dagger import dag
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.errors import PipelineError, SmokeTestError
from pipeline.pixi import TIMED_OUT
from pipeline.probe import ScriptName
from pipeline.settings import Settings
from pipeline.spec import ImageSpec
from pipeline.tables import draw_table

#: Probes that look for GPUs.
GPU_PROBES: Final[frozenset[ScriptName]] = frozenset({"tensorflow"})
#: What a shell adds to the number of the signal that ended a command.
KILLED: Final = 128
#: Lines of a failed probe's output that a person is shown; the last ones say what went wrong.
SHOWN_LINES: Final = 12


class Report(BaseModel):
    """What a probe prints when all went well."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    detail: str
    cuda: bool | None = None
    gpus: tuple[str, ...] | None = None


class Result(BaseModel):
    """What came of one probe of one image."""

    model_config = ConfigDict(frozen=True)

    image: str
    probe: ScriptName
    report: Report | None = None
    failure: str = ""
    """One clause that says what failed; empty where nothing did."""
    output: Annotated[str, Field(repr=False)] = ""
    """The last lines of what a failed probe printed."""


def require_gpu_probe(specs: Mapping[str, ImageSpec]) -> None:
    """Refuse a test with GPUs that would look for none.

    Raises:
        SmokeTestError: none of the images has a probe that looks for GPUs.
    """
    if not any(GPU_PROBES.intersection(spec.probes.scripts) for spec in specs.values()):
        raise SmokeTestError(
            f"--gpu was given, but no probe of {', '.join(specs)} looks for a GPU; "
            f"add one of {', '.join(sorted(GPU_PROBES))} to 'scripts' of [probes] in its image.toml, or leave --gpu out"
        )


async def run_probes(
    container: dagger.Container, image: str, spec: ImageSpec, settings: Settings, *, gpu: bool
) -> list[Result]:
    """Run all probes of an image at once; the results come in the order of its image.toml."""
    seconds = spec.probes.timeout or settings.probe_timeout
    results: dict[ScriptName, Result] = {}

    async def run(probe: ScriptName) -> None:
        results[probe] = await run_probe(container, image, probe, seconds=seconds, gpu=gpu and probe in GPU_PROBES)

    async with anyio.create_task_group() as tasks:
        for probe in spec.probes.scripts:
            tasks.start_soon(run, probe)
    return [results[probe] for probe in spec.probes.scripts]


async def run_probe(container: dagger.Container, image: str, probe: ScriptName, *, seconds: int, gpu: bool) -> Result:
    """Run one probe in an image, as a person would start it: through the entrypoint.

    Args:
        container: the image.
        image: its name.
        probe: the probe to run.
        seconds: after which the probe is stopped and has failed.
        gpu: give the probe all GPUs of the engine, and expect TensorFlow to find one.
    """
    script = importlib.resources.files("pipeline.probes").joinpath(f"{probe}.py").read_text(encoding="utf-8")
    if gpu:
        container = container.experimental_with_all_gp_us()
    command = ["timeout", "--kill-after=10", str(seconds), "python", "/probe.py"]
    try:
        output = await (
            container.with_mounted_file("/probe.py", dag.file("probe.py", script))
            .with_exec(command, use_entrypoint=True)
            .stdout()
        )
    except dagger.ExecError as error:
        return failed(image, probe, error.exit_code, f"{error.stdout}\n{error.stderr}", seconds)
    except dagger.QueryError as error:
        if not gpu:
            raise
        return Result(image=image, probe=probe, failure="could not be given a GPU by the engine", output=str(error))
    return judge(image, probe, output, gpu=gpu)


def failed(image: str, probe: ScriptName, exit_code: int, output: str, seconds: int) -> Result:
    """The result of a probe whose command did not exit with 0."""
    if exit_code == TIMED_OUT:
        failure = f"did not end within {seconds} s"
    elif exit_code > KILLED:
        failure = f"was killed by signal {exit_code - KILLED}"
    else:
        failure = f"exited with {exit_code}"
    return Result(image=image, probe=probe, failure=failure, output=last_lines(output))


def judge(image: str, probe: ScriptName, output: str, *, gpu: bool) -> Result:
    """The result of a probe whose command exited with 0, from what it printed."""
    lines = output.strip().splitlines()
    try:
        report = Report.model_validate(json.loads(lines[-1]))
    except (IndexError, ValueError, ValidationError):
        return Result(image=image, probe=probe, failure="ended without its report", output=last_lines(output))
    failure = ""
    if gpu and report.gpus is not None and not report.gpus:
        failure = "found no GPU" if report.cuda else "is not a CUDA build, so it finds no GPU"
    return Result(image=image, probe=probe, report=report, failure=failure)


def last_lines(output: str) -> str:
    """The end of an output, without the blank lines around it."""
    return "\n".join(output.strip().splitlines()[-SHOWN_LINES:])


def summarize(results: Sequence[Result]) -> str:
    """One table of all results, followed by the output of each probe that failed."""
    rows = []
    for result in results:
        report = result.report or Report(version="", detail="")
        verdict = "failed" if result.failure else "passed"
        rows.append((result.image, result.probe, verdict, report.version, result.failure or report.detail))
    text = draw_table(("image", "probe", "result", "version", "found"), rows)
    for result in results:
        if result.output:
            text += f"\n{result.image}: probe {result.probe} {result.failure}; it printed last:\n{result.output}\n"
    return text


def require_passed(results: Sequence[Result], failures: Sequence[PipelineError] = ()) -> None:
    """Fail once with everything that failed.

    Args:
        results: what came of the probes that were run.
        failures: why images could not be built, so that their probes were not run.

    Raises:
        SmokeTestError: at least one probe failed, or more than one image could not be built.
        PipelineError: the one image there is could not be built.
    """
    if len(failures) == 1 and not results:
        raise failures[0]
    failed = [f"{result.image}: {result.probe} {result.failure}" for result in results if result.failure]
    sentences = [str(failure) for failure in failures]
    if failed:
        sentences.append(f"{len(failed)} of {len(results)} probes failed ({'; '.join(failed)})")
    if sentences:
        raise SmokeTestError("\n".join([*sentences, *([summarize(results)] if results else [])]))
