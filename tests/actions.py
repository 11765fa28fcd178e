"""GitHub Actions, as far as this repository's workflows use it: which jobs an event starts, and what their steps run.

Whatever is not known here is an error, so that a test does not pass over it.
"""

import fnmatch
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import yaml

#: Parts of an expression: a text, an operator, a name with dots.
_TOKEN: Final = re.compile(r"\s*(?:'((?:[^']|'')*)'|(==|!=|\|\||&&)|([A-Za-z_][\w-]*(?:\.[\w-]+)*))")
_EXPRESSION: Final = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)


@dataclass(frozen=True)
class Event:
    """An event in a repository."""

    name: str
    ref_name: str
    """Branch or tag; of a pull request, ``NUMBER/merge``."""

    tag: bool = False
    number: str = ""
    """Of a pull request."""

    inputs: Mapping[str, str] = field(default_factory=dict)
    sha: str = "0" * 40

    @property
    def ref(self) -> str:
        """The full name of the reference."""
        if self.number:
            return f"refs/pull/{self.ref_name}"
        return f"refs/{'tags' if self.tag else 'heads'}/{self.ref_name}"

    def contexts(self, secrets: Mapping[str, str], inputs: Mapping[str, str]) -> dict[str, str]:
        """Every name that an expression may ask for; those of secrets that are not set are empty."""
        known = {
            "github.event_name": self.name,
            "github.ref_name": self.ref_name,
            "github.sha": self.sha,
            "github.run_id": "4711",
            "github.event.pull_request.number": self.number,
        }
        known |= {f"inputs.{name}": value for name, value in inputs.items()}
        return known | {f"secrets.{name}": value for name, value in secrets.items()}


@dataclass(frozen=True)
class Step:
    """One step of a job, with its expressions evaluated."""

    name: str
    uses: str
    arguments: dict[str, str]
    """Of an action: what stands under ``with``."""

    run: str
    env: dict[str, str]


@dataclass(frozen=True)
class Job:
    """One job that an event started."""

    name: str
    permissions: dict[str, str]
    steps: tuple[Step, ...]
    uses: str = ""
    """The workflow that it calls, in place of steps of its own."""

    environment: str = ""


def load(file: Path) -> dict[str, Any]:
    """A workflow's file, in which every scalar is text: GitHub's ``on`` is no truth value."""
    loaded = yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506 -- makes no objects
    return cast("dict[str, Any]", loaded)


def starts(workflow: Mapping[str, Any], event: Event) -> bool:
    """Whether an event starts a workflow."""
    if event.name not in workflow["on"]:
        return False
    filters = workflow["on"][event.name] or {}
    match event.name:
        case "push":
            _only(filters, {"branches", "tags"})
            patterns = filters.get("tags" if event.tag else "branches", [])
            return any(fnmatch.fnmatchcase(event.ref_name, pattern) for pattern in patterns)
        case "workflow_dispatch":
            _only(filters, {"inputs"})
        case "schedule":
            pass
        case _:
            _only(filters, set())
    return True


def jobs(
    workflow: Mapping[str, Any],
    event: Event,
    secrets: Mapping[str, str],
    *,
    failed: Collection[str] = (),
    called: bool = False,
) -> Iterator[Job]:
    """The jobs that run, as a runner gets them.

    Args:
        workflow: as ``load`` returns it.
        event: what happened.
        secrets: by name.
        failed: ids of jobs that fail, so that those that need them do not run.
        called: by another workflow, which the event has started.
    """
    _only(workflow, {"name", "on", "permissions", "concurrency", "env", "jobs"})
    if not (called and "workflow_call" in workflow["on"]) and not starts(workflow, event):
        return
    contexts = event.contexts(secrets, _inputs(workflow, event, called=called))
    succeeded: set[str] = set()
    for id_, job in workflow["jobs"].items():
        if "uses" in job:
            _only(job, {"name", "if", "needs", "permissions", "uses"})
        else:
            _only(job, {"name", "if", "needs", "runs-on", "timeout-minutes", "environment", "permissions", "steps"})
        # An `if` adds to this and does not replace it: the functions that would are not understood here.
        needs = [job["needs"]] if isinstance(job.get("needs"), str) else job.get("needs", [])
        if not succeeded.issuperset(needs) or not evaluate(job.get("if", "'always'"), contexts):
            continue
        if id_ not in failed:
            succeeded.add(id_)
        shared = workflow.get("env", {})
        yield Job(
            name=job["name"],
            permissions=job.get("permissions", workflow["permissions"]),
            steps=tuple(_step(step, shared, contexts) for step in job.get("steps", ())),
            uses=job.get("uses", ""),
            environment=job.get("environment", ""),
        )


def _inputs(workflow: Mapping[str, Any], event: Event, *, called: bool) -> dict[str, str]:
    """Each input of a workflow: as it was given, its default, or nothing where what started it has none."""
    triggers = {name: (trigger or {}) for name, trigger in workflow["on"].items() if name != "schedule"}
    started = triggers.get("workflow_call" if called else event.name, {}).get("inputs", {})
    known = {name for trigger in triggers.values() for name in trigger.get("inputs", {})}
    given = {} if called else event.inputs
    values = {name: given.get(name, started.get(name, {}).get("default", "")) for name in known}
    # A truth value is one in an expression, and not its name.
    return {name: "" if value == "false" else value for name, value in values.items()}


def group(workflow: Mapping[str, Any], event: Event) -> tuple[str, bool]:
    """The concurrency group of a run, and whether a newer run ends an older one in it."""
    contexts = event.contexts({}, {})
    found = workflow["concurrency"]
    cancels = fill(found["cancel-in-progress"], contexts)
    return fill(found["group"], contexts), cancels == "true"


def fill(text: str, contexts: Mapping[str, str]) -> str:
    """A text with its ``${{ expressions }}`` evaluated."""
    return _EXPRESSION.sub(lambda match: evaluate(match[1], contexts), text)


def evaluate(expression: str, contexts: Mapping[str, str]) -> str:
    """The value of an expression: its text, ``true``, or nothing for what is false or empty."""
    tokens = _tokens(expression.strip())
    value = _any(tokens, contexts)
    if tokens:
        raise ValueError(f"there is more in {expression!r} than is understood here: {tokens}")
    return value


def _tokens(expression: str) -> list[tuple[str, str]]:
    found, position = [], 0
    while position < len(expression):
        match = _TOKEN.match(expression, position)
        if match is None:
            raise ValueError(f"{expression[position:]!r} in {expression!r} is not understood here")
        text, operator, name = match.groups()
        found.append(("text", text) if text is not None else ("operator", operator) if operator else ("name", name))
        position = match.end()
    return found


def _any(tokens: list[tuple[str, str]], contexts: Mapping[str, str]) -> str:
    value = _all(tokens, contexts)
    while tokens[:1] == [("operator", "||")]:
        tokens.pop(0)
        other = _all(tokens, contexts)
        value = value or other
    return value


def _all(tokens: list[tuple[str, str]], contexts: Mapping[str, str]) -> str:
    value = _comparison(tokens, contexts)
    while tokens[:1] == [("operator", "&&")]:
        tokens.pop(0)
        other = _comparison(tokens, contexts)
        value = value and other
    return value


def _comparison(tokens: list[tuple[str, str]], contexts: Mapping[str, str]) -> str:
    value = _value(tokens, contexts)
    if tokens and tokens[0] in {("operator", "=="), ("operator", "!=")}:
        _, operator = tokens.pop(0)
        # GitHub compares texts without regard to case.
        same = value.lower() == _value(tokens, contexts).lower()
        return "true" if same == (operator == "==") else ""
    return value


def _value(tokens: list[tuple[str, str]], contexts: Mapping[str, str]) -> str:
    kind, text = tokens.pop(0) if tokens else ("nothing", "")
    match kind:
        case "text":
            return text.replace("''", "'")
        case "name" if text in {"true", "false"}:
            return "true" if text == "true" else ""
        case "name" if text in contexts:
            return contexts[text]
        case _:
            raise ValueError(f"{kind} {text!r} is not known here")


def _step(step: Mapping[str, Any], shared: Mapping[str, str], contexts: Mapping[str, str]) -> Step:
    _only(step, {"name", "uses", "with", "run", "env"})
    return Step(
        name=step.get("name", step.get("uses", "")),
        uses=step.get("uses", ""),
        arguments={name: fill(value, contexts) for name, value in step.get("with", {}).items()},
        run=fill(step.get("run", ""), contexts),
        env={name: fill(value, contexts) for name, value in {**shared, **step.get("env", {})}.items()},
    )


def _only(found: Mapping[str, Any], known: set[str]) -> None:
    if unknown := set(found) - known:
        raise ValueError(f"{sorted(unknown)} is not known here")
