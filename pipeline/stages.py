"""The two stages of an image that pixi installs, as steps from container to container.

The pixi stage installs what the lock says, on the base image. The final stage is the image's own base with the
environment at the same path: where that is the same base image, it is what the pixi stage has left, and nothing is
copied. What makes it usable by anybody comes after it, in ``finish``.
"""

from typing import Final

import dagger
from dagger import dag

from pipeline.activation import read_activation
from pipeline.bases import REMEDY, to_lock
from pipeline.environment import ENTRYPOINT as MADE_ENTRYPOINT
from pipeline.environment import LAYERS, with_environment
from pipeline.errors import BuildError
from pipeline.fetch import DONE, explain_fetch, fetch_stage, packages, with_package_cache
from pipeline.finish import APP, Built
from pipeline.image import Environment
from pipeline.lock import LOCK, MANIFEST, SUBDIRS, Locked, check_base
from pipeline.pixi import explain_install
from pipeline.recipe import Recipe

ENTRYPOINT: Final = f"{APP}/entrypoint.sh"


def environment_path(environment: str) -> str:
    """Where pixi puts an environment, in both stages."""
    return f"{APP}/.pixi/envs/{environment}"


def pixi_stage(base: dagger.Container, recipe: Recipe, fetched: dagger.File) -> dagger.Container:
    """The base image with the locked environment installed; all else that it needs or makes is mounted.

    Args:
        base: the base image; it has pixi.
        recipe: what the image is made from.
        fetched: what the fetch stage wrote when it had filled the package cache.
    """
    folder, spec = recipe.folder, recipe.spec
    container = (
        base.with_workdir(APP)
        .with_mounted_file(f"{APP}/{MANIFEST}", folder.file(MANIFEST))
        .with_mounted_file(f"{APP}/{LOCK}", folder.file(LOCK))
        .with_(lambda container: with_package_cache(container, SUBDIRS[recipe.platform]))
        .with_mounted_file(DONE, fetched)
    )
    if spec.cuda:
        container = container.with_env_variable("CONDA_OVERRIDE_CUDA", spec.cuda)
    return with_environment(container, recipe, environment_path(spec.environment))


def final_stage(base: dagger.Container) -> dagger.Container:
    """The image's base, started through the entrypoint of the environment that it gets."""
    return base.with_workdir(APP).with_entrypoint([ENTRYPOINT]).with_default_args(["bash"])


async def build(recipe: Recipe, locked: Locked) -> Built:
    """Install an image whose lock was checked: both stages, without what every image gets.

    Raises:
        BuildError: a base image cannot be pulled, or a package cannot be installed.
        LockError: pixi found the lock stale, or a base image's CUDA does not fit.
    """
    image, spec, settings = recipe.image, recipe.spec, recipe.settings
    address = spec.base or settings.base
    base = await pull(recipe, "base", address)
    if spec.runtime_base is None:
        runtime_address, runtime = address, base
    else:
        runtime_address = spec.runtime_base
        runtime = await pull(recipe, "runtime_base", runtime_address)
    wanted = packages(image, locked.conda.values())
    fetching = fetch_stage(settings.fetch_base, wanted, SUBDIRS[recipe.platform])
    try:
        await fetching.sync()
    except dagger.ExecError as error:
        raise explain_fetch(image, error.stdout, error.stderr) from error
    installed = pixi_stage(base, recipe, fetching.file(DONE))
    try:
        await installed.sync()
    except dagger.ExecError as error:
        output = f"{error.stdout}\n{error.stderr}"
        raise explain_install(image, spec.environment, error.exit_code, output) from error
    entrypoint = installed.file(MADE_ENTRYPOINT)
    environment = Environment(installed.rootfs(), environment_path(spec.environment), installed.file(LAYERS))
    bare = final_stage(runtime)
    if runtime is base:
        container = bare.with_rootfs(environment.root)
    else:
        container = bare.with_directory(environment.prefix, environment.root.directory(environment.prefix))
    return Built(
        container=container,
        bare=bare,
        environment=environment,
        tree=own_files(recipe.folder, entrypoint),
        activation=await read_activation(container.with_mounted_file(ENTRYPOINT, entrypoint)),
        base=runtime_address,
    )


def own_files(folder: dagger.Directory, entrypoint: dagger.File) -> dagger.Directory:
    """The files beside the environment: its entrypoint, and what pixi looks for when it is asked about it."""
    return (
        dag.directory()
        .with_file(ENTRYPOINT, entrypoint, permissions=0o755)
        .with_file(f"{APP}/{MANIFEST}", folder.file(MANIFEST), permissions=0o644)
        .with_file(f"{APP}/{LOCK}", folder.file(LOCK), permissions=0o644)
        # pixi would write these two the first time that it looks at the environment.
        .with_new_file(f"{APP}/.pixi/.gitignore", "*\n", permissions=0o644)
        .with_new_file(f"{APP}/.pixi/.condapackageignore", ".pixi\n!.pixi/config.toml\n", permissions=0o644)
    )


async def pull(recipe: Recipe, key: str, address: str) -> dagger.Container:
    """A base image of a recipe's platform.

    Args:
        recipe: of the image that is built on it.
        key: of image.toml that names it.
        address: the base image.

    Raises:
        BuildError: it cannot be pulled.
        LockError: its CUDA does not fit.
    """
    pinned = recipe.pinned(address)
    base = dag.container(platform=dagger.Platform(recipe.platform)).from_(pinned)
    try:
        cuda = await base.env_variable("CUDA_VERSION")
    except dagger.QueryError as error:
        gone = f"; if it no longer has this digest, {REMEDY.format(image=recipe.image)}" if pinned != address else ""
        raise BuildError(
            f"{recipe.image}: base image {pinned} cannot be pulled: {error}; "
            f"check '{key}' in {recipe.file}, and that the registry can be reached{gone}"
        ) from error
    check_base(recipe.image, recipe.spec, address, cuda)
    return base


async def find_digests(recipe: Recipe) -> dict[str, str]:
    """What base.lock has to say: the digest of each base image, as its recipe has it or its tag has it now.

    Raises:
        BuildError: a base image cannot be pulled.
        LockError: its CUDA does not fit.
    """
    digests = {}
    for key, address in to_lock(recipe.spec, recipe.settings).items():
        base = await pull(recipe, key, address)
        digests[address] = (await base.image_ref()).rpartition("@")[2]
    return digests
