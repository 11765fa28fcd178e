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
