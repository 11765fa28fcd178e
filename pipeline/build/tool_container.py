"""Steps that give a container scripts of `pipeline/scripts` and Python packages from its locks."""

import importlib.resources
from collections.abc import Callable
from typing import Final

import dagger
from dagger import dag

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
