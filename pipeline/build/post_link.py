"""Messages about the post-link scripts of conda packages, which pixi does not run.

`pipeline/scripts/post_link.py` runs them.
"""

from pydantic import TypeAdapter

from pipeline.config.settings import SETTINGS
from pipeline.errors import Code, PipelineError
from pipeline.scripts.post_link import MARK, Failure, PostLinkReport


def describe(image: str, report: str) -> str:
    """Return the note about an image's scripts for the log of a build; empty where there is nothing to note.

    Args:
        image: the image's name.
        report: the script's report, in JSON.
    """
    parsed = TypeAdapter(PostLinkReport).validate_json(report)
    lines = [f"{image}: message of {name}: {' '.join(text.split())}" for name, text in parsed.messages.items()]
    if parsed.skipped:
        lines.append(
            f"{image}: the post-link scripts of {', '.join(parsed.skipped)} did not run; if the image needs what they "
            f"make, set 'post_link_scripts = true' in {image}/image.toml"
        )
    return "".join(f"{line}\n" for line in lines)


def explain(image: str, output: str) -> PipelineError | None:
    """Return the error to raise where a script failed; None where another step of the installation failed.

    Args:
        image: the image's name.
        output: whole output of the installation.
    """
    marked = [line for line in output.splitlines() if line.startswith(MARK)]
    if not marked:
        return None
    failure = TypeAdapter(Failure).validate_json(marked[-1].removeprefix(MARK))
    if failure.code is None:
        how = f"did not end within the time that 'install_timeout' of {SETTINGS} gives it"
    elif failure.code < 0:
        how = f"was killed by signal {-failure.code}"
    else:
        how = f"failed (exit code {failure.code})"
    return PipelineError(
        Code.POST_LINK_FAILED,
        f"{image}: the post-link script of {failure.package} {how}: {failure.line or 'it printed nothing'}; give it "
        f"what it needs, by another 'base' or package, or remove 'post_link_scripts' from {image}/image.toml",
    )
