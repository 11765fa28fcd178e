"""The two stages of an image, as steps from container to container.

The pixi stage installs what the lock says and writes the entrypoint. The final stage is the base image with the
environment at the same path, and with what makes it usable by anybody: any user, a read-only root, no entrypoint.
"""

from typing import Final

import dagger
from dagger import dag

from pipeline.activation import read_activation, with_activation
from pipeline.errors import BuildError
from pipeline.fetch import DONE, explain_fetch, fetch_stage, packages, with_package_cache
from pipeline.lock import LOCK, MANIFEST, Locked, check_base
from pipeline.pixi import explain_install
from pipeline.settings import Settings
from pipeline.spec import FILE as SPEC
from pipeline.spec import ImageSpec

APP: Final = "/app"
ENTRYPOINT: Final = f"{APP}/entrypoint.sh"
#: Folders that every user may write to; sticky, so that nobody removes what is another's.
WRITABLE: Final = ("/workspace", f"{APP}/.jupyter/config", f"{APP}/.jupyter/data", f"{APP}/.jupyter/runtime")
#: Folders that sites mount over: driver libraries, storage and software.
MOUNT_POINTS: Final = ("/host-libs", "/srv", "/cvmfs")

#: Arguments: the file to write, and pixi's own that select the environment.
_WRITE_ENTRYPOINT: Final = """
entrypoint=$1
shift
{
  printf '%s\\n' '#!/bin/bash' '# Runs a command in the activated environment.'
  pixi shell-hook --shell bash "$@"
  printf '%s\\n' 'exec "$@"'
} > "$entrypoint"
chmod 0755 "$entrypoint"
"""


def environment_path(environment: str) -> str:
    """Where pixi puts an environment, in both stages."""
    return f"{APP}/.pixi/envs/{environment}"


def pixi_stage(
    base: dagger.Container, folder: dagger.Directory, spec: ImageSpec, fetched: dagger.File, seconds: int
) -> dagger.Container:
    """The base image with the locked environment installed and the entrypoint written.

    Args:
        base: the base image; it has pixi.
        folder: the image's folder.
        spec: the image's image.toml.
        fetched: what the fetch stage wrote when it had filled the package cache.
        seconds: after which pixi is stopped.
    """
    container = (
        base.with_workdir(APP)
        .with_file(f"{APP}/{MANIFEST}", folder.file(MANIFEST), permissions=0o644)
        .with_file(f"{APP}/{LOCK}", folder.file(LOCK), permissions=0o644)
        .with_(with_package_cache)
        .with_mounted_file(DONE, fetched)
    )
    if spec.cuda:
        container = container.with_env_variable("CONDA_OVERRIDE_CUDA", spec.cuda)
    # pixi 0.15 does not know the default environment by its name.
    selected = [] if spec.environment == "default" else ["--environment", spec.environment]
    install = ["timeout", "--kill-after=10", str(seconds), "pixi", "install", "--locked", *selected]
    return container.with_exec(install).with_exec(["sh", "-euc", _WRITE_ENTRYPOINT, "sh", ENTRYPOINT, *selected])


def final_stage(
    base: dagger.Container, installed: dagger.Container, folder: dagger.Directory, spec: ImageSpec
) -> dagger.Container:
    """The base image with the environment of the pixi stage and all that belongs to the image beside it."""
    prefix = environment_path(spec.environment)
    container = (
        base.with_workdir(APP)
        .with_directory(prefix, installed.directory(prefix))
        .with_file(ENTRYPOINT, installed.file(ENTRYPOINT), permissions=0o755)
        .with_file(f"{APP}/{MANIFEST}", folder.file(MANIFEST), permissions=0o644)
        .with_file(f"{APP}/{LOCK}", folder.file(LOCK), permissions=0o644)
        # pixi would write these two beside the environment the first time that it looks at it.
        .with_new_file(f"{APP}/.pixi/.gitignore", "*\n", permissions=0o644)
        .with_new_file(f"{APP}/.pixi/.condapackageignore", ".pixi\n!.pixi/config.toml\n", permissions=0o644)
        .with_new_file("/etc/ld.so.conf.d/000-host-libs.conf", "/host-libs\n", permissions=0o644)
        .with_exec(["install", "-d", "-m", "0755", *MOUNT_POINTS])
        .with_exec(["install", "-d", "-m", "1777", *WRITABLE])
        .with_exec(["ldconfig"])
    )
    for file in spec.files:
        container = container.with_file(file.path, folder.file(file.source), permissions=file.permissions)
    for name, value in {"PYTHONNOUSERSITE": "1", **spec.env}.items():
        container = container.with_env_variable(name, value)
    return container.with_entrypoint([ENTRYPOINT]).with_default_args(["bash"])


async def build(
    folder: dagger.Directory, image: str, spec: ImageSpec, settings: Settings, locked: Locked
) -> dagger.Container:
    """Build an image whose lock was checked: both stages, with the environment active in every way of starting it.

    Raises:
        BuildError: the base image cannot be pulled, or a package cannot be installed.
        LockError: pixi found the lock stale, or the base image's CUDA does not fit.
    """
    base = dag.container().from_(address := spec.base or settings.base)
    try:
        base_cuda = await base.env_variable("CUDA_VERSION")
    except dagger.QueryError as error:
        raise BuildError(
            f"{image}: base image {address} cannot be pulled: {error}; "
            f"check 'base' in {image}/{SPEC}, and that the registry can be reached"
        ) from error
    check_base(image, spec, address, base_cuda)
    fetching = fetch_stage(settings.fetch_base, packages(image, locked.conda.values()))
    try:
        await fetching.sync()
    except dagger.ExecError as error:
        raise explain_fetch(image, error.stdout, error.stderr) from error
    installed = pixi_stage(base, folder, spec, fetching.file(DONE), settings.install_timeout)
    try:
        await installed.sync()
    except dagger.ExecError as error:
        output = f"{error.stdout}\n{error.stderr}"
        raise explain_install(image, spec.environment, error.exit_code, output) from error
    container = final_stage(base, installed, folder, spec)
    container = with_activation(container, await read_activation(container))
    for name, value in labels(image, spec, settings, address).items():
        container = container.with_label(name, value)
    return container


def labels(image: str, spec: ImageSpec, settings: Settings, base: str) -> dict[str, str]:
    """The labels of an image, by the names that OCI gives them; those without a value are left out."""
    values = {
        "title": image,
        "description": spec.description,
        "source": settings.source,
        "licenses": settings.licenses,
        "base.name": base,
    }
    return {f"org.opencontainers.image.{name}": value for name, value in values.items() if value}
