"""The post-link scripts of conda packages, which pixi does not run: the sentences about them.

`pipeline/scripts/post_link.py` runs them.
"""

from pydantic import BaseModel, ConfigDict

from pipeline.errors import Code, PipelineError
from pipeline.scripts.post_link import MARK


class PostLinkReport(BaseModel):
    """The report of the script, with the same keys."""

    model_config = ConfigDict(frozen=True)

    skipped: list[str]
    messages: dict[str, str]


class Failure(BaseModel):
    """The failure that ended the script, with the same keys."""

    model_config = ConfigDict(frozen=True)

    package: str
    code: int | None
    line: str


def describe(image: str, report: str) -> str:
    """The note about an image's scripts, for the log of a build; empty where there is nothing to note.

    Args:
        image: the image's name.
        report: what the script wrote.
    """
    read = PostLinkReport.model_validate_json(report)
    lines = [f"{image}: message of {name}: {' '.join(text.split())}" for name, text in read.messages.items()]
    if read.skipped:
        lines.append(
            f"{image}: the post-link scripts of {', '.join(read.skipped)} did not run; if the image needs what they "
            f"make, set 'post_link_scripts = true' in {image}/image.toml"
        )
    return "".join(f"{line}\n" for line in lines)


def explain(image: str, output: str) -> PipelineError | None:
    """The error to raise where a script failed; nothing where another step of the installation did.

    Args:
        image: the image's name.
        output: all that the installation printed.
    """
    found = [line for line in output.splitlines() if line.startswith(MARK)]
    if not found:
        return None
    failure = Failure.model_validate_json(found[-1].removeprefix(MARK))
    if failure.code is None:
        how = "did not end within the time that 'install_timeout' of [tool.pipeline] gives it"
    elif failure.code < 0:
        how = f"was killed by signal {-failure.code}"
    else:
        how = f"failed (exit code {failure.code})"
    return PipelineError(
        Code.POST_LINK_FAILED,
        f"{image}: the post-link script of {failure.package} {how}: {failure.line or 'it printed nothing'}; give it "
        f"what it needs, by another 'base' or package, or remove 'post_link_scripts' from {image}/image.toml",
    )
