"""What pixi says when it cannot install, in one sentence that names the file or package and the remedy."""

import re
from typing import Final

from pipeline.errors import BuildError, LockError, PipelineError
from pipeline.lock import refresh

#: What `timeout` of coreutils exits with when it had to stop the command.
TIMED_OUT: Final = 124
#: pixi draws its chain of causes as a tree: the failure, then what led to it.
_CAUSE: Final = re.compile(r"^\s*(?:×|├─▶|╰─▶)\s*(.*)$")
_CONTINUATION: Final = re.compile(r"^\s*│\s?\s*(\S.*)$|^\s{4,}(\S.*)$")
#: The codes with which programs colour their output.
COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")


def causes(output: str) -> list[str]:
    """The chain of causes in pixi's output, outermost first; its last line where it drew none."""
    found: list[str] = []
    for line in COLOURS.sub("", output).splitlines():
        if match := _CAUSE.match(line):
            found.append(match[1].strip())
        elif found and (match := _CONTINUATION.match(line)):
            found[-1] = f"{found[-1]} {(match[1] or match[2]).strip()}"
    if found:
        return found
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1:]


def explain_install(image: str, environment: str, exit_code: int, output: str) -> PipelineError:
    """The error to raise when ``pixi install --locked`` ended with another exit code than 0.

    Args:
        image: the image's name, and so its folder.
        environment: the environment that was installed.
        exit_code: what pixi exited with.
        output: all that it printed.
    """
    if exit_code == TIMED_OUT:
        return BuildError(
            f"{image}: pixi did not end within the time that 'install_timeout' of [tool.pipeline] gives it; "
            "run the same command again, or give it more"
        )
    chain = causes(output)
    text = ": ".join(chain) or f"it exited with {exit_code} and said nothing"
    lower = text.lower()
    if "up-to-date" in lower or "up to date" in lower or "not satisf" in lower:
        return LockError(f"{image}/pixi.lock does not match {image}/pixi.toml (pixi: {text}); {refresh(image)}")
    what = f"{image}: environment '{environment}' of {image}/pixi.lock was not installed: {text}"
    if "hash" in lower and ("mismatch" in lower or "not match" in lower or "expected" in lower):
        return BuildError(
            f"{what}; the package is not the one that was locked: if its channel replaced it, "
            f"run 'pixi lock' in {image}/, otherwise do not trust the channel"
        )
    if re.search(r"\b(404|not found)\b", lower):
        return BuildError(f"{what}; the channel no longer has this package: {refresh(image)}")
    return BuildError(
        f"{what}; if the channel was out of reach, run the same command again: what was downloaded is kept"
    )
