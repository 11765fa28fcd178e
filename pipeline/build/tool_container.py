"""Scripts of `pipeline/scripts` in containers: the files alone, under their own names, for the Python that is there."""

import importlib.resources
from collections.abc import Callable
from typing import Final

import dagger
from dagger import dag

#: Where a container has the scripts.
FOLDER: Final = "/pipeline-scripts"


def with_scripts(*names: str) -> Callable[[dagger.Container], dagger.Container]:
    """A step that mounts scripts: ``python -m pipeline.scripts.NAME`` runs one, and they can import each other."""
    scripts = importlib.resources.files("pipeline.scripts")

    def mount(container: dagger.Container) -> dagger.Container:
        for name in names:
            text = scripts.joinpath(name).read_text(encoding="utf-8")
            container = container.with_mounted_file(f"{FOLDER}/pipeline/scripts/{name}", dag.file(name, text))
        # No bytecode: what such a step leaves behind is what it made, and nothing else.
        return container.with_env_variable("PYTHONPATH", FOLDER).with_env_variable("PYTHONDONTWRITEBYTECODE", "1")

    return mount


def with_packages(name: str) -> Callable[[dagger.Container], dagger.Container]:
    """A step that installs what a lock of this folder names, with hashes, by the pip that the container has."""
    lock = importlib.resources.files("pipeline.scripts").joinpath(name).read_text(encoding="utf-8")

    def install(container: dagger.Container) -> dagger.Container:
        mounted = container.with_mounted_file(f"/{name}", dag.file(name, lock))
        pip = ["pip", "install", "--quiet", "--no-deps", "--require-hashes", "--requirement", f"/{name}"]
        return mounted.with_exec(pip)

    return install


def last_line(error: dagger.QueryError) -> str:
    """What a step that failed printed last, or else the engine: the reason, for messages."""
    said = f"{error.stdout}\n{error.stderr}" if isinstance(error, dagger.ExecError) else str(error)
    return next(reversed([line.strip() for line in said.splitlines() if line.strip()]), "it printed nothing")
