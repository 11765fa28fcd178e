"""What a probe's output means: pure functions from what was printed or answered to results."""

import json
import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from pipeline.config.probes import CommandProbe, FileProbe, ServerProbe
from pipeline.smoke.gpu import Found, failure_of
from pipeline.smoke.results import Kind, Result

#: What a shell adds to the number of the signal that ended a command.
KILLED: Final = 128
#: What a shell exits with when there is no such command.
NOT_FOUND: Final = 127
#: Lines of a failed probe's output that a person is shown; the last ones say what went wrong.
SHOWN_LINES: Final = 12

_COLOURS: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
#: How ``scripts/limit.sh`` says at its end that a command did not end as it should.
_ENDED: Final = re.compile(r"(?:^|\n)limit: (time|\d+)\s*\Z")


@dataclass(frozen=True)
class Subject:
    """What is probed: an image, on one of its platforms where there are several."""

    image: str
    platform: str = ""

    def result(self, kind: Kind, name: str, **values: object) -> Result:
        """A result of one of its probes."""
        return Result.model_validate(
            {"image": self.image, "platform": self.platform, "kind": kind, "name": name} | values
        )


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed."""

    stdout: str = ""
    stderr: str = ""
    failure: str = ""
    """One clause; empty where the command exited as it should."""

    exit_code: int | None = None
    """What it exited with, where that was not what it should."""

    unstarted: bool = False
    """Whether the engine could not start it."""

    @property
    def output(self) -> str:
        """The end of all that it printed."""
        return last_lines(f"{self.stdout}\n{self.stderr}")


class ProbeReport(BaseModel):
    """What a script prints when all went well, or well enough to tell what went wrong."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    detail: str
    gpu: Found | None = None


class Imported(BaseModel):
    """What the script of imports prints of one module."""

    module: str
    ended: int | None
    """What its process exited with, as Python's subprocess counts; None where its time was over."""

    output: str
    seconds: float


_IMPORTS: Final = TypeAdapter(tuple[Imported, ...])


def ended(stdout: str, stderr: str, late: str, expected: int = 0) -> Ended:
    """How a command ended that ``scripts/limit.sh`` did not end well with.

    Args:
        stdout: what it printed.
        stderr: what it printed as errors, then how it ended.
        late: what is said of it when its time was over.
        expected: the exit code that was expected.
    """
    match = _ENDED.search(stderr)
    if not match:
        return Ended(stdout, stderr, "ended without saying how, as when memory runs out")
    stderr = stderr[: match.start()]
    if match[1] == "time":
        return Ended(stdout, stderr, late)
    code = int(match[1])
    if code > KILLED:
        failure = f"was killed by signal {signal_name(code - KILLED)}"
    else:
        failure = f"exited with {code}" + (f" instead of {expected}" if expected else "")
    return Ended(stdout, stderr, failure, code)


def script(subject: Subject, name: str, end: Ended, *, with_gpu: bool) -> Result:
    """The result of a script of the pipeline."""
    lines = end.stdout.strip().splitlines()
    try:
        report = ProbeReport.model_validate(json.loads(lines[-1]))
    except (IndexError, ValueError, ValidationError):
        failure = _without_python(end, "scripts") or end.failure or "ended without its report"
        return subject.result("script", name, failure=failure, output=end.output)
    failure = failure_of(report.gpu, wanted=with_gpu) if report.gpu else ""
    failure = failure or end.failure
    output = end.output if end.failure else ""
    return subject.result("script", name, version=report.version, detail=report.detail, failure=failure, output=output)


def imports(subject: Subject, modules: Sequence[str], end: Ended, seconds: int) -> list[Result]:
    """The results of all imports, in the order of image.toml."""
    try:
        found = {entry.module: entry for entry in _IMPORTS.validate_json(end.stdout.strip().splitlines()[-1])}
    except (IndexError, ValidationError):
        failure = _without_python(end, "imports") or f"was not tried: the process that imports {end.failure}"
        output = end.output if end.failure else ""
        return [subject.result("import", module, failure=failure, output=output) for module in modules]
    return [_import(subject, found[module], seconds) for module in modules]


def command(subject: Subject, probe: CommandProbe, end: Ended) -> Result:
    """The result of a command."""
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
    """The results of all files, from what ``scripts/files.sh`` printed."""
    fields = end.stdout.split("\0")
    if end.failure or len(fields) < 3 * len(probes):
        failure = f"was not looked at: the script that looks {end.failure or 'printed too little'}"
        return [subject.result("file", probe.path, failure=failure, output=end.output) for probe in probes]
    return [_file(subject, probe, *fields[3 * i : 3 * i + 3]) for i, probe in enumerate(probes)]


def server(subject: Subject, probe: ServerProbe, status: int, body: str) -> Result:
    """The result of a server that answered."""
    failure = "" if status == probe.status else f"answered {probe.path} with {status} instead of {probe.status}"
    failure = failure or _mismatch(probe.body_matches, body, "'body_matches'", f"it answered {probe.path} with")
    if failure:
        return subject.result("server", probe.title, failure=failure, output=last_lines(body))
    return subject.result("server", probe.title, detail=f"port {probe.port} answered {probe.path} with {status}")


def last_lines(output: str) -> str:
    """The end of an output, without colours and without the blank lines around it."""
    return "\n".join(_COLOURS.sub("", output).strip().splitlines()[-SHOWN_LINES:])


def signal_name(number: int) -> str:
    """A signal by its number, and by its name where it has one."""
    try:
        return f"{number} ({signal.Signals(number).name})"
    except ValueError:
        return str(number)


def _without_python(end: Ended, key: str) -> str:
    if end.exit_code != NOT_FOUND:
        return ""
    return f"needs python3, which the image does not have; take it out of '{key}' of [probes], or add Python"


def _import(subject: Subject, found: Imported, seconds: int) -> Result:
    failure = ""
    if found.ended is None:
        failure = f"did not end within {seconds} s"
    elif found.ended < 0:
        failure = f"was killed by signal {signal_name(-found.ended)}"
    elif found.ended:
        last = next(reversed(last_lines(found.output).splitlines()), f"exited with {found.ended}")
        failure = f"failed: {last}"
    output = last_lines(found.output)
    return subject.result("import", found.module, failure=failure, output=output, seconds=found.seconds)


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
