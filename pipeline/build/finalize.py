"""Common additions to every image, however it was built: they make it usable by any user at any site.

That covers a read-only root, runtimes that ignore the entrypoint and the variables, and sites that mount driver
libraries, storage and software.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import dagger
from dagger import dag

from pipeline.build.activation import BASE_SCRIPT, HOST_VARIABLES, export_script, host_script
from pipeline.build.image import Environment, Image
from pipeline.build.inputs import BuildInputs
from pipeline.build.overlay import with_tree
from pipeline.build.permissions import KEPT
from pipeline.concurrency import results_of
from pipeline.config.validation import listed
from pipeline.errors import Code, SpecError

APP: Final = "/app"
#: The folders of Jupyter, by the variables that name them.
JUPYTER: Final = {
    "JUPYTER_CONFIG_DIR": f"{APP}/.jupyter/config",
    "JUPYTER_DATA_DIR": f"{APP}/.jupyter/data",
    "JUPYTER_RUNTIME_DIR": f"{APP}/.jupyter/runtime",
}
#: Folders that every user may write to; sticky, so that users cannot remove each other's files.
WRITABLE: Final = ("/workspace", *JUPYTER.values())
#: Folders that sites mount over: driver libraries, storage and software.
MOUNT_POINTS: Final = ("/host-libs", "/srv", "/cvmfs")
#: Variables of every image, unless its base, its Dockerfile or its image.toml sets them.
VARIABLES: Final = {"LANG": "C.UTF-8", "PYTHONNOUSERSITE": "1", **JUPYTER}
#: Activation scripts for runtimes that ignore ENTRYPOINT and ENV: in Apptainer's own folder, and in the one of login
#: shells.
SCRIPTS: Final = ("/.singularity.d/env/91-environment.sh", "/etc/profile.d/91-environment.sh")

#: Scripts for Apptainer alone, by path.
APPTAINER_SCRIPTS: Final = {
    "/.singularity.d/env/92-host.sh": host_script(HOST_VARIABLES),
    "/.singularity.d/env/99-base.sh": BASE_SCRIPT,
}

#: Configuration of the loader for the libraries of a host.
_HOST_LIBS: Final = "/etc/ld.so.conf.d/000-host-libs.conf"


@dataclass(frozen=True)
class Built:
    """A container with the software of an image, before ``finalize``."""

    container: dagger.Container

    without_environment: dagger.Container
    """The same container without the environment; the same object where it has none."""

    tree: dagger.Directory
    """Files that this way of building adds, at their paths."""

    activation: Mapping[str, str]
    """Variables that the software needs; they override all others."""

    base: str = ""
    """Base image, where it is known."""

    environment: Environment | None = None

    settings: Mapping[str, Any] = field(default_factory=dict)
    """Keys of the image's configuration that a container of the engine cannot have."""

    protected: bool = False
    """Whether to remove the permission of others to change its files."""


async def finalize(built: Built, inputs: BuildInputs, files: dagger.Directory) -> Image:
    """Add variables and the scripts that set them, folders, files and labels.

    Args:
        built: container with the software.
        inputs: build inputs of the image.
        files: files that its image.toml adds, at their paths.

    Raises:
        SpecError: a variable of its image.toml would have no effect.
    """
    base = built.without_environment
    reject_ineffective(inputs, built.activation)
    variables = {**VARIABLES, **await read_variables(base), **inputs.spec.env, **built.activation}
    defaults = {name: value for name, value in variables.items() if name not in built.activation}
    script = export_script(built.activation, defaults)
    tree = built.tree.with_new_file(_HOST_LIBS, "/host-libs\n", permissions=0o644)
    for path in MOUNT_POINTS:
        tree = tree.with_new_directory(path, permissions=0o755)
    tree = tree.with_directory("/", files)
    for path in SCRIPTS:
        tree = tree.with_new_file(path, script, permissions=0o755)
    for path, text in APPTAINER_SCRIPTS.items():
        tree = tree.with_new_file(path, text, permissions=0o755)
    label_values = labels(inputs, built.base)
    tools = dag.container(platform=dagger.Platform(inputs.platform)).from_(inputs.settings.fetch_base)

    def complete(container: dagger.Container) -> dagger.Container:
        container = with_tree(container, tree, tools, writable=WRITABLE, kept=KEPT if built.protected else None)
        for name, value in variables.items():
            container = container.with_env_variable(name, value)
        for name, value in label_values.items():
            container = container.with_label(name, value).with_annotation(name, value)
        return container

    if built.environment is None:
        return Image.of(inputs.image, complete(built.container), built.settings)
    return Image(inputs.image, complete(built.container), complete(base), built.environment)


async def read_variables(container: dagger.Container) -> dict[str, str]:
    """Read the environment variables of every command in a container from its configuration."""

    async def read(variable: dagger.EnvVariable) -> tuple[str, str]:
        return await variable.name(), await variable.value()

    return dict(sorted(await results_of(read, await container.env_variables())))


def reject_ineffective(inputs: BuildInputs, activation: Mapping[str, str]) -> None:
    """Reject variables of image.toml that the activation sets to another value, each time that it runs.

    Raises:
        SpecError: there are such variables.
    """
    names = sorted(name for name, value in inputs.spec.env.items() if activation.get(name, value) != value)
    if names:
        raise SpecError(
            Code.KEY_INVALID,
            f"{inputs.file}: key 'env': the environment's activation sets {listed(names)} in any case, so the value "
            "there has no effect; leave it out",
            {inputs.file: (("env", names[0]),)},
        )


def labels(inputs: BuildInputs, base: str) -> dict[str, str]:
    """Return the OCI labels of an image by name; those without a value are left out."""
    commit = inputs.commit
    values = {
        "title": inputs.image,
        "description": inputs.spec.description,
        "source": inputs.settings.source,
        "licenses": inputs.settings.licenses,
        "base.name": base,
        "base.digest": inputs.base_digests.get(base, ""),
        # The commit's time, not the clock's: the same commit must give the same image at any time.
        "created": commit.time.strftime("%Y-%m-%dT%H:%M:%SZ") if commit else "",
        "revision": commit.revision if commit else "",
    }
    return {f"org.opencontainers.image.{name}": value for name, value in values.items() if value}
