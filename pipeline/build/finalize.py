"""What every image gets at its end, however it was built: it makes the image usable by anybody.

Any user, any place: a root that cannot be written to, runtimes that ignore the entrypoint and the variables, sites
that mount driver libraries, storage and software.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import anyio
import dagger

from pipeline.build.activation import export_script
from pipeline.build.image import Environment, Image
from pipeline.build.inputs import BuildInputs
from pipeline.build.overlay import with_tree

APP: Final = "/app"
#: The folders of Jupyter, by the variables that name them.
JUPYTER: Final = {
    "JUPYTER_CONFIG_DIR": f"{APP}/.jupyter/config",
    "JUPYTER_DATA_DIR": f"{APP}/.jupyter/data",
    "JUPYTER_RUNTIME_DIR": f"{APP}/.jupyter/runtime",
}
#: Folders that every user may write to; sticky, so that nobody removes what is another's.
WRITABLE: Final = ("/workspace", *JUPYTER.values())
#: Folders that sites mount over: driver libraries, storage and software.
MOUNT_POINTS: Final = ("/host-libs", "/srv", "/cvmfs")
#: Variables of every image, unless its base, its Dockerfile or its image.toml say otherwise.
VARIABLES: Final = {"PYTHONNOUSERSITE": "1", **JUPYTER}
#: Where what activates an image is read by runtimes that ignore ENTRYPOINT and ENV: Apptainer's own folder, and the
#: one of login shells.
SCRIPTS: Final = ("/.singularity.d/env/91-environment.sh", "/etc/profile.d/91-environment.sh")

#: Where the loader is told about the libraries of a host.
_HOST_LIBS: Final = "/etc/ld.so.conf.d/000-host-libs.conf"
#: Makes in /tree what Dagger's directories have no word for: folders that all may write to, and the loader's cache.
#: Arguments: the loader's configuration, the folders that are mounted over, "--", the folders to write to.
_PREPARE: Final = """
umask 022
conf=$1
shift
mkdir -p "/tree${conf%/*}" "${conf%/*}"
echo /host-libs > "/tree$conf"
mode=0755
for folder in "$@"; do
  case $folder in
    --) mode=1777 ;;
    *) mkdir -p "/tree$folder"; chmod "$mode" "/tree$folder" ;;
  esac
done
if command -v ldconfig > /dev/null; then
  cp "/tree$conf" "$conf"
  ldconfig
  cp /etc/ld.so.cache /tree/etc/ld.so.cache
fi
"""


@dataclass(frozen=True)
class Built:
    """A container with the software of an image, before the rest is added."""

    container: dagger.Container

    bare: dagger.Container
    """The same without its environment, where it has one."""

    tree: dagger.Directory
    """Files that belong to the way it was built, at their paths."""

    activation: Mapping[str, str]
    """Variables that its software needs: set for everybody, whatever was set before."""

    base: str = ""
    """The image that it was built on, where one is known."""

    environment: Environment | None = None


async def finalize(built: Built, inputs: BuildInputs, files: dagger.Directory) -> Image:
    """Add what every image has: variables and the scripts that set them, folders, files and labels.

    Args:
        built: the software.
        inputs: what the image is made from.
        files: what its image.toml adds, at their paths.
    """
    bare = built.bare
    user = await bare.user()
    variables = {**VARIABLES, **await read_variables(bare), **inputs.spec.env, **built.activation}
    defaults = {name: value for name, value in variables.items() if name not in built.activation}
    script = export_script(built.activation, defaults)
    tree = _prepared(bare).with_directory("/", built.tree).with_directory("/", files)
    for path in SCRIPTS:
        tree = tree.with_new_file(path, script, permissions=0o755)
    there = [folder for folder in WRITABLE if await bare.exists(folder)]
    told = labels(inputs, built.base)

    def complete(container: dagger.Container) -> dagger.Container:
        container = container.with_user("root")
        if there:
            # Files over a folder leave it as it is.
            container = container.with_exec(["chmod", "1777", *there])
        container = with_tree(container, tree)
        for name, value in variables.items():
            container = container.with_env_variable(name, value)
        for name, value in told.items():
            container = container.with_label(name, value).with_annotation(name, value)
        return container.with_user(user)

    if built.environment is None:
        return Image.of(inputs.image, complete(built.container))
    return Image(inputs.image, complete(built.container), complete(bare), built.environment)


async def read_variables(container: dagger.Container) -> dict[str, str]:
    """The environment variables that a container gives to every command, from its configuration."""
    found: dict[str, str] = {}

    async def read(variable: dagger.EnvVariable) -> None:
        found[await variable.name()] = await variable.value()

    async with anyio.create_task_group() as tasks:
        for variable in await container.env_variables():
            tasks.start_soon(read, variable)
    return dict(sorted(found.items()))


def labels(inputs: BuildInputs, base: str) -> dict[str, str]:
    """The labels of an image, by the names that OCI gives them; those without a value are left out."""
    commit = inputs.commit
    values = {
        "title": inputs.image,
        "description": inputs.spec.description,
        "source": inputs.settings.source,
        "licenses": inputs.settings.licenses,
        "base.name": base,
        "base.digest": inputs.bases.get(base, ""),
        # Never the time of day: the same commit is the same image, whoever builds it and when.
        "created": commit.time.strftime("%Y-%m-%dT%H:%M:%SZ") if commit else "",
        # Files that were changed since are of no commit yet.
        "revision": commit.sha if commit and not commit.changed else "",
    }
    return {f"org.opencontainers.image.{name}": value for name, value in values.items() if value}


def _prepared(container: dagger.Container) -> dagger.Directory:
    prepare = ["sh", "-euc", _PREPARE, "sh", _HOST_LIBS, *MOUNT_POINTS, "--", *WRITABLE]
    return container.with_user("root").with_exec(prepare).directory("/tree")
