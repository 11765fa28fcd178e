"""Results of the probes of images, and the reports about them."""

import re
from collections.abc import Iterator
from itertools import groupby
from typing import Final, Literal

import junitparser
from pydantic import BaseModel, ConfigDict, computed_field

from pipeline.errors import Code, PipelineError
from pipeline.output.formats import ResultFormat
from pipeline.output.tables import draw_markdown, draw_table

Kind = Literal["script", "import", "command", "file", "server"]

COLUMNS: Final = ("image", "probe", "result", "version", "found")
#: Name of the report's file, by format.
FILES: Final = {
    ResultFormat.TABLE: "smoke-report.txt",
    ResultFormat.JSON: "smoke-report.json",
    ResultFormat.MARKDOWN: "smoke-report.md",
    ResultFormat.JUNIT: "smoke-report.xml",
}
#: Characters that XML cannot hold, not even escaped.
_NO_XML: Final = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Result(_Frozen):
    """Result of one probe of one image."""

    image: str
    platform: str = ""
    """Platform of the image; empty where it is built for one platform only."""

    kind: Kind
    name: str
    version: str = ""
    detail: str = ""
    """Detail of a success, such as a version or a first line of output."""

    failure: str = ""
    """One clause about the failure; empty where the probe passed."""

    output: str = ""
    """Last lines of a failed probe's output."""

    seconds: float = 0.0

    @property
    def subject(self) -> str:
        """The image, with its platform where there are several."""
        return f"{self.image} ({self.platform})" if self.platform else self.image

    @property
    def probe(self) -> str:
        """The probe's name; for an import with its kind, since a module's name alone is unclear."""
        return f"import {self.name}" if self.kind == "import" else self.name


class NotBuilt(_Frozen):
    """An image that was not built, and so has no results."""

    image: str
    platform: str = ""
    reason: str

    @property
    def subject(self) -> str:
        """The image, with its platform where there are several."""
        return f"{self.image} ({self.platform})" if self.platform else self.image


class Results(_Frozen):
    """Results of all probes of a run."""

    results: tuple[Result, ...] = ()
    not_built: tuple[NotBuilt, ...] = ()

    @computed_field  # type: ignore[prop-decorator]  # mypy knows no decorated properties
    @property
    def passed(self) -> bool:
        """Whether every image was built and nothing failed."""
        return not self.not_built and not self.failed

    @property
    def failed(self) -> list[Result]:
        """The probes that failed."""
        return [result for result in self.results if result.failure]

    def verdict(self) -> str:
        """Return a sentence for each image that was not built and one for all failed probes, or one that all passed."""
        sentences = [image.reason for image in self.not_built]
        total = len(self.results)
        if self.failed:
            named = "; ".join(f"{result.subject}: {result.probe} {result.failure}" for result in self.failed)
            sentences.append(f"{len(self.failed)} of {total} probes failed ({named})")
        return "\n".join(sentences) or f"{total} of {total} probes passed"


def write(results: Results, format: ResultFormat) -> str:  # noqa: A002  # the option's name
    """Return the report of a run."""
    match format:
        case ResultFormat.TABLE:
            return _write_table(results)
        case ResultFormat.JSON:
            return results.model_dump_json(indent=2) + "\n"
        case ResultFormat.MARKDOWN:
            return _write_markdown(results)
        case ResultFormat.JUNIT:
            return _write_junit(results)


def _write_table(results: Results) -> str:
    text = draw_table(COLUMNS, _rows(results))
    for result in results.failed:
        if result.output:
            text += f"\n{result.subject}: {result.probe} {result.failure}; it printed last:\n{result.output}\n"
    return text


def _write_markdown(results: Results) -> str:
    total = len(results.results)
    head = [f"**{total - len(results.failed)} of {total} probes passed**"]
    head += [image.reason for image in results.not_built]
    text = "\n\n".join(head) + "\n\n" + draw_markdown(COLUMNS, _rows(results))
    for result in results.failed:
        if result.output:
            # The fence must be longer than any in the output.
            fence = "`" * max(3, 1 + max(map(len, re.findall("`+", result.output)), default=0))
            title = f"{result.subject}: {result.probe}".replace("<", "&lt;")
            text += f"\n<details><summary>{title}</summary>\n\n{fence}text\n{result.output}\n{fence}\n\n</details>\n"
    return text


def _rows(results: Results) -> Iterator[tuple[str, ...]]:
    """Yield a row for each probe; imports that passed share one."""
    for (subject, is_import), group in groupby(results.results, lambda it: (it.subject, it.kind == "import")):
        of_group = list(group)
        passed = [result.name for result in of_group if is_import and not result.failure]
        if passed:
            modules = f"{len(passed)} module{'s' * (len(passed) > 1)}: {', '.join(passed)}"
            yield (subject, "imports", "passed", "", modules)
        for result in of_group:
            if result.failure:
                yield (subject, result.probe, "failed", result.version, result.failure)
            elif not is_import:
                yield (subject, result.probe, "passed", result.version, result.detail)
    for image in results.not_built:
        yield (image.subject, "", "failed", "", "not built")


def _write_junit(results: Results) -> str:
    report = junitparser.JUnitXml()
    for subject, group in groupby(results.results, lambda result: result.subject):
        suite = junitparser.TestSuite(subject)
        suite.add_testcases([_case(result) for result in group])
        report.add_testsuite(suite)
    for image in results.not_built:
        case = junitparser.TestCase("build", image.image)
        case.result = [junitparser.Error(_for_xml(image.reason))]
        suite = junitparser.TestSuite(image.subject)
        suite.add_testcase(case)
        report.add_testsuite(suite)
    report.update_statistics()  # type: ignore[no-untyped-call]  # the library has types for half of itself
    text: str | bytes = report.tostring()  # type: ignore[no-untyped-call]  # as above
    return text if isinstance(text, str) else text.decode()


def _case(result: Result) -> junitparser.TestCase:
    case = junitparser.TestCase(result.probe, f"{result.image}.{result.kind}", round(result.seconds, 3))
    if result.failure:
        failure = junitparser.Failure(_for_xml(result.failure))
        failure.text = _for_xml(result.output)
        case.result = [failure]
    else:
        case.system_out = _for_xml(" ".join(filter(None, (result.version, result.detail))))
    return case


def _for_xml(text: str) -> str:
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def require_passed(results: Results, format: ResultFormat) -> str:  # noqa: A002  # the option's name
    """Return the report of a test that passed; otherwise raise one error with all failures and the report.

    Raises:
        PipelineError: a probe failed, or an image could not be built.
    """
    if results.passed:
        return write(results, format)
    # Without results, the report would only repeat the sentences about images that were not built.
    report = [write(results, format)] if results.results else []
    raise PipelineError(Code.PROBES_FAILED, "\n".join([results.verdict(), *report]))
