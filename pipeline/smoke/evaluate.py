"""Evaluation of probes: pure functions from a probe's output to results."""

import json
import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from pipeline.config.probes import CommandProbe, FileProbe, ServerProbe
from pipeline.smoke.gpu import GpuFacts, failure_of
from pipeline.smoke.results import Kind, Result

#: Number that a shell adds to the number of the signal that ended a command.
KILLED: Final = 128
#: Exit code of a shell for a command that does not exist.
NOT_FOUND: Final = 127
#: Number of last lines of a failed probe's output in a report; the cause is mostly at the end.
SHOWN_LINES: Final = 12

_COLOURS: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
#: Last line of ``scripts/limit.sh`` for a command that exceeded its time or had another exit code than expected.
_ENDED: Final = re.compile(r"(?:^|\n)limit: (time|\d+)\s*\Z")
#: Output of the engine in place of a program that an image does not have.
_MISSING: Final = re.compile(
    r'exec: "(?P<name>[^"]+)": executable file not found in \$PATH|fork/exec (?P<path>.+): no such file or directory'
)


@dataclass(frozen=True)
class Subject:
    """An image to probe, on one of its platforms where there are several."""

    image: str
    platform: str = ""

    def result(self, kind: Kind, name: str, **values: object) -> Result:
        """Return a result of one of its probes."""
        return Result.model_validate(
            {"image": self.image, "platform": self.platform, "kind": kind, "name": name} | values
        )


@dataclass(frozen=True)
class Ended:
    """A command that ended, with its output and the reason for a failure."""

    stdout: str = ""
    stderr: str = ""
    failure: str = ""
    """One clause; empty where the command had the expected exit code."""

    exit_code: int | None = None
    """Its exit code, where that was not the expected one."""

    unstarted: bool = False
    """Whether the engine could not start it."""

    @property
    def output(self) -> str:
        """The last lines of its whole output."""
        return last_lines(f"{self.stdout}\n{self.stderr}")


class ProbeReport(BaseModel):
    """Report of a script that succeeded, or that failed with a known cause."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    detail: str
    gpu: GpuFacts | None = None


class Imported(BaseModel):
    """One module in the output of the imports script."""

    module: str
    ended: int | None
    """Exit code of its process as Python's subprocess reports it; None after a timeout."""

    output: str
    seconds: float


_IMPORTS: Final = TypeAdapter(tuple[Imported, ...])


def ended(stdout: str, stderr: str, late: str, expected: int = 0) -> Ended:
    """Return the end of a command for which ``scripts/limit.sh`` failed.

    Args:
        stdout: its standard output.
        stderr: its standard error, with the last line of ``scripts/limit.sh``.
        late: failure for a command that exceeded its time.
        expected: the expected exit code.
    """
    match = _ENDED.search(stderr)
    if not match:
        return Ended(stdout, stderr, "ended without an exit code, as when memory runs out")
    stderr = stderr[: match.start()]
    return Ended(stdout, stderr, late) if match[1] == "time" else exited(stdout, stderr, int(match[1]), expected)


def exited(stdout: str, stderr: str, code: int, expected: int = 0) -> Ended:
    """Return the end of a command by its exit code.

    Args:
        stdout: its standard output.
        stderr: its standard error.
        code: its exit code.
        expected: the expected exit code.
    """
    if code == expected:
        return Ended(stdout, stderr)
    if code > KILLED:
        failure = f"was killed by signal {signal_name(code - KILLED)}"
    else:
        failure = f"exited with {code}" + (f" instead of {expected}" if expected else "")
    return Ended(stdout, stderr, failure, code)


def missing_program(stderr: str) -> str:
    """Return the program that an image lacks, from the whole standard error of a command; empty if it was started."""
    match = _MISSING.fullmatch(stderr.strip())
    return match["name"] or match["path"] if match else ""


def script(subject: Subject, name: str, end: Ended, *, with_gpu: bool) -> Result:
    """Return the result of a script of the pipeline."""
    lines = end.stdout.strip().splitlines()
    try:
        report = ProbeReport.model_validate(json.loads(lines[-1]))
    except (IndexError, ValueError, ValidationError):
        failure = _without_python(end, "scripts") or end.failure or "ended without its report"
        return subject.result("script", name, failure=failure, output=end.output)
    failure = failure_of(report.gpu, required=with_gpu) if report.gpu else ""
    failure = failure or end.failure
    output = end.output if end.failure else ""
    return subject.result("script", name, version=report.version, detail=report.detail, failure=failure, output=output)


def imports(subject: Subject, modules: Sequence[str], end: Ended, seconds: int) -> list[Result]:
    """Return the results of all imports, in the order of image.toml."""
    try:
        imported = {entry.module: entry for entry in _IMPORTS.validate_json(end.stdout.strip().splitlines()[-1])}
    except (IndexError, ValidationError):
        failure = _without_python(end, "imports") or f"was not tried: the process that imports {end.failure}"
        output = end.output if end.failure else ""
        return [subject.result("import", module, failure=failure, output=output) for module in modules]
    return [_import(subject, imported[module], seconds) for module in modules]


def command(subject: Subject, probe: CommandProbe, end: Ended) -> Result:
    """Return the result of a command."""
    failure = end.failure
    if end.exit_code == NOT_FOUND:
        failure += " (a command was not found)"
    if not failure:
        failure = _mismatch(probe.stdout_matches, end.stdout, "'stdout_matches'", "it printed")
    if not failure:
        failure = _mismatch(probe.stderr_matches, end.stderr, "'stderr_matches'", "it printed as errors")
    if failure:
        return subject.result("command", probe.title, failure=failure, output=end.output)
    first = next(iter(f"{end.stdout}\n{end.stderr}".strip().splitlines()), f"exited with {probe.exit_code}")
    return subject.result("command", probe.title, detail=first[:80])


def files(subject: Subject, probes: Sequence[FileProbe], end: Ended) -> list[Result]:
    """Return the results of all files, from the output of the script ``files``."""
    fields = end.stdout.split("\0")
    if end.failure or len(fields) < 3 * len(probes):
        failure = f"was not checked: the script for files {end.failure or 'printed too little'}"
        return [subject.result("file", probe.path, failure=failure, output=end.output) for probe in probes]
    return [_file(subject, probe, *fields[3 * i : 3 * i + 3]) for i, probe in enumerate(probes)]


def server(subject: Subject, probe: ServerProbe, status: int, body: str) -> Result:
    """Return the result of a server that answered."""
    failure = "" if status == probe.status else f"answered {probe.path} with {status} instead of {probe.status}"
    failure = failure or _mismatch(probe.body_matches, body, "'body_matches'", f"it answered {probe.path} with")
    if failure:
        return subject.result("server", probe.title, failure=failure, output=last_lines(body))
    return subject.result("server", probe.title, detail=f"port {probe.port} answered {probe.path} with {status}")


def last_lines(output: str) -> str:
    """Return the last lines of an output, without colours and without the blank lines around it."""
    return "\n".join(_COLOURS.sub("", output).strip().splitlines()[-SHOWN_LINES:])


def signal_name(number: int) -> str:
    """Return a signal's number, with its name where it has one."""
    try:
        return f"{number} ({signal.Signals(number).name})"
    except ValueError:
        return str(number)


def _without_python(end: Ended, key: str) -> str:
    if end.exit_code != NOT_FOUND:
        return ""
    return f"needs python3, which the image does not have; take it out of '{key}' of [probes], or add Python"


def _import(subject: Subject, imported: Imported, seconds: int) -> Result:
    failure = ""
    if imported.ended is None:
        failure = f"did not end within {seconds} s"
    elif imported.ended < 0:
        failure = f"was killed by signal {signal_name(-imported.ended)}"
    elif imported.ended:
        last = next(reversed(last_lines(imported.output).splitlines()), f"exited with {imported.ended}")
        failure = f"failed: {last}"
    output = last_lines(imported.output)
    return subject.result("import", imported.module, failure=failure, output=output, seconds=imported.seconds)


def _file(subject: Subject, probe: FileProbe, kind: str, facts: str, text: str) -> Result:
    mode, owner, number = (facts.split() + [""] * 3)[:3]
    failure = ""
    if not kind:
        failure = "is not there"
    elif kind != probe.kind:
        failure = f"is a {kind}, not a {probe.kind}" if kind != "other" else f"is neither a {probe.kind} nor a folder"
    elif probe.mode is not None and (not mode or int(mode, 8) != int(probe.mode, 8)):
        failure = f"has mode {mode or 'unknown'}, not {probe.mode}"
    elif probe.owner is not None and probe.owner not in {owner, number}:
        failure = f"belongs to {owner or 'unknown'}, not to {probe.owner}"
    else:
        failure = _mismatch(probe.matches, text, "'matches'", "it has")
    output = last_lines(text) if failure else ""
    detail = f"{kind}, mode {mode}, of {owner}"
    return subject.result("file", probe.path, detail=detail, failure=failure, output=output)


def _mismatch(expression: str | None, text: str, key: str, what: str) -> str:
    if expression is None or re.search(expression, text, re.MULTILINE):
        return ""
    return f"does not satisfy {key}: '{expression}' is not in what {what}"
