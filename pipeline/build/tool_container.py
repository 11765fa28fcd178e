"""Steps that give a container scripts of `pipeline/scripts` and Python packages from its locks, and their output."""

import importlib.resources
from collections.abc import Callable
from typing import Final

import dagger
from dagger import dag
from pydantic import TypeAdapter, ValidationError

from pipeline.engine_errors import reason_of
from pipeline.errors import Code, PipelineError

#: Folder of the scripts in a container.
FOLDER: Final = "/pipeline-scripts"


def read_script(name: str) -> str:
    """Read a file of ``pipeline/scripts``: a program for a container, or a lock."""
    return importlib.resources.files("pipeline.scripts").joinpath(name).read_text(encoding="utf-8")


def with_scripts(*names: str) -> Callable[[dagger.Container], dagger.Container]:
    """Return a step that mounts scripts: ``python -m pipeline.scripts.NAME`` runs one; they can import each other."""

    def mount(container: dagger.Container) -> dagger.Container:
        for name in names:
            text = read_script(name)
            container = container.with_mounted_file(f"{FOLDER}/pipeline/scripts/{name}", dag.file(name, text))
        # No bytecode: a step must leave nothing but its own output.
        return container.with_env_variable("PYTHONPATH", FOLDER).with_env_variable("PYTHONDONTWRITEBYTECODE", "1")

    return mount


def with_packages(name: str) -> Callable[[dagger.Container], dagger.Container]:
    """Return a step that installs the packages of a lock in ``pipeline/scripts`` by pip, with their hashes."""
    lock = read_script(name)

    def install(container: dagger.Container) -> dagger.Container:
        mounted = container.with_mounted_file(f"/{name}", dag.file(name, lock))
        pip = ["pip", "install", "--quiet", "--no-deps", "--require-hashes", "--requirement", f"/{name}"]
        return mounted.with_exec(pip)

    return install


async def read_report[T](executed: dagger.Container, kind: type[T], problem: str) -> T:
    """Run the last step of a container, and read the report in JSON that a script prints.

    Args:
        executed: the container.
        kind: type of the report.
        problem: beginning of the message if there is none: the image, and what was not done.

    Raises:
        PipelineError: the step failed, or printed something else.
    """
    try:
        return TypeAdapter(kind).validate_json(await executed.stdout())
    except dagger.QueryError as error:
        reason = reason_of(error)
    except ValidationError:
        reason = "the step gave no report"
    raise PipelineError(
        Code.STEP_FAILED,
        f"{problem}: {reason}; see that the engine has room on its disk, and run the same command again",
    )
