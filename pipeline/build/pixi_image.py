"""The two stages of an image that pixi installs, as steps from container to container.

The pixi stage installs the locked environment on the base image. The final stage is the image's runtime base with the
environment at the same path. Where both are the same base image, the final stage takes over the root file system of
the pixi stage, and nothing is copied. ``finalize`` comes after it.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote, urlsplit

import dagger
from dagger import dag

from pipeline.build import pixi_list, post_link
from pipeline.build.activation import read_activation
from pipeline.build.finalize import APP, Built
from pipeline.build.image import Environment
from pipeline.build.inputs import BuildInputs
from pipeline.build.install import ENTRYPOINT as MADE_ENTRYPOINT
from pipeline.build.install import LAYERS, POST_LINK, install
from pipeline.build.permissions import with_git_modes
from pipeline.build.pixi_list import with_inputs
from pipeline.build.suitability import Role, require_suitable
from pipeline.credentials.registry_auth import explain_rejected_pull
from pipeline.engine_errors import reason_of
from pipeline.errors import Code, PipelineError
from pipeline.locks.base_images import REMEDY, to_lock
from pipeline.locks.cuda import check_base
from pipeline.locks.image_lock import LOCK, ImageLock, Locked
from pipeline.output.console import log

ENTRYPOINT: Final = f"{APP}/entrypoint.sh"


def environment_path(environment: str) -> str:
    """Return the path of an environment, which is the same in both stages."""
    return f"{APP}/.pixi/envs/{environment}"


def final_stage(base: dagger.Container) -> dagger.Container:
    """Return the image's base with the working directory and entrypoint of the environment."""
    return base.with_workdir(APP).with_entrypoint([ENTRYPOINT]).with_default_args(["bash"])


async def ask(inputs: BuildInputs, lock: ImageLock) -> Locked:
    """Ask the pixi of an image's base which packages it installs.

    Raises:
        LockError: the lock is stale for pixi, or the base image's CUDA does not fit.
        PipelineError: the base image cannot be pulled, or its pixi cannot run or use the manifest.
    """
    address = inputs.spec.base or inputs.settings.base
    return await pixi_list.ask(await pull(inputs, "base", address), inputs, lock, address)


async def build(inputs: BuildInputs, lock: ImageLock) -> Built:
    """Build both stages of an image whose lock was checked, without the common additions of ``finalize``.

    Raises:
        LockError: the lock is stale for pixi, or a base image's CUDA does not fit.
        PipelineError: a base image cannot be pulled, or a package cannot be installed.
    """
    image, spec, settings = inputs.image, inputs.spec, inputs.settings
    address = spec.base or settings.base
    base = await pull(inputs, "base", address)
    if spec.runtime_base is None:
        runtime_address, runtime = address, base
    else:
        runtime_address = spec.runtime_base
        runtime = await pull(inputs, "runtime_base", runtime_address)
    locked = await pixi_list.ask(base, inputs, lock, address)
    if spec.cuda and (note := pixi_list.platform_note(image, lock, locked)):
        log(note)
    prefix = environment_path(spec.environment)
    installed = await install(base, inputs, lock, locked, prefix)
    log(post_link.describe(image, await installed.file(POST_LINK).contents()))
    entrypoint = installed.file(MADE_ENTRYPOINT)
    editables = await find_editable(installed.directory(prefix)) if lock.has_local else set()
    environment = Environment(installed.rootfs(), prefix, installed.file(LAYERS))
    without_environment = final_stage(runtime)
    if runtime is base:
        container = without_environment.with_rootfs(environment.root)
    else:
        container = without_environment.with_directory(prefix, environment.root.directory(prefix))
    return Built(
        container=container,
        without_environment=without_environment,
        environment=environment,
        tree=own_files(inputs.folder, entrypoint, lock, own_sources(inputs, lock.own_paths(editables))),
        activation=await read_activation(
            with_inputs(container, inputs, lock).with_mounted_file(ENTRYPOINT, entrypoint)
        ),
        base=runtime_address,
    )


def own_files(
    folder: dagger.Directory, entrypoint: dagger.File, lock: ImageLock, sources: dagger.Directory
) -> dagger.Directory:
    """Return the files beside the environment.

    Args:
        folder: the image's folder.
        entrypoint: the script that activates the environment.
        lock: manifest and lock, which name the manifest's file and the activation scripts.
        sources: source files of editable packages, at their paths in the image's folder.
    """
    tree = (
        dag.directory()
        .with_directory(APP, sources)
        .with_file(ENTRYPOINT, entrypoint, permissions=0o755)
        # pixi would write these two on its first run in the image.
        .with_new_file(f"{APP}/.pixi/.gitignore", "*\n", permissions=0o644)
        .with_new_file(f"{APP}/.pixi/.condapackageignore", ".pixi\n!.pixi/config.toml\n", permissions=0o644)
    )
    for path in (lock.manifest.file, LOCK, *lock.scripts):
        tree = tree.with_file(f"{APP}/{path}", folder.file(path), permissions=0o644)
    return tree


async def find_editable(prefix: dagger.Directory) -> set[str]:
    """Find the folders of an environment's editable packages, in the image's folder."""
    files = await prefix.glob("lib/python*/site-packages/*.dist-info/direct_url.json")
    return editable([await prefix.file(path).contents() for path in files])


def editable(origins: Iterable[str]) -> set[str]:
    """Return the folders of editable packages below /app.

    Args:
        origins: the text of each `direct_url.json`, in which installers record a package's origin (PEP 610).
    """
    records = [json.loads(text) for text in origins]
    folders = [urlsplit(record["url"]).path for record in records if record.get("dir_info", {}).get("editable")]
    paths = [PurePosixPath(unquote(folder)) for folder in folders]
    return {str(path.relative_to(APP)) for path in paths if path.is_relative_to(APP)}


def own_sources(inputs: BuildInputs, paths: Sequence[str]) -> dagger.Directory:
    """Return files and folders of an image's folder, readable by all: their modes in a checkout depend on the umask.

    Args:
        inputs: build inputs of the image.
        paths: paths of the files and folders.
    """
    if not paths:
        return dag.directory()
    files = inputs.folder.filter(include=list(paths), exclude=["**/__pycache__", "**/*.egg-info"])
    return with_git_modes(files, dag.container().from_(inputs.settings.fetch_base))


async def pull(inputs: BuildInputs, key: str, address: str) -> dagger.Container:
    """Pull a base image for the platform of the build inputs.

    Args:
        inputs: build inputs of the image.
        key: the key of image.toml that names the base image.
        address: the base image.

    Raises:
        PipelineError: it cannot be pulled, or no environment can run on it or be installed in it.
        LockError: its CUDA does not fit.
    """
    pinned = inputs.pinned(address)
    await inputs.logins.prepare([address])
    base = dag.container(platform=dagger.Platform(inputs.platform)).from_(pinned)
    try:
        cuda = await base.env_variable("CUDA_VERSION")
        await require_suitable(base, Role(inputs.image, key, inputs.file, address), inputs.platform)
    except dagger.QueryError as error:
        gone = f"; if it no longer has this digest, {REMEDY.format(image=inputs.image)}" if pinned != address else ""
        refused = explain_rejected_pull(str(error), address, inputs.logins.registries)
        remedy = refused or f"check '{key}' in {inputs.file}, and that the registry can be reached{gone}"
        raise PipelineError(
            Code.BASE_IMAGE_UNAVAILABLE,
            f"{inputs.image}: base image {pinned} cannot be pulled: {reason_of(error)}; {remedy}",
        ) from error
    check_base(inputs.image, inputs.spec, address, cuda)
    return base


async def find_digests(inputs: BuildInputs) -> dict[str, str]:
    """Return the digests for base.lock: each base image's digest in the build inputs, or else its tag's current one.

    Raises:
        PipelineError: a base image cannot be pulled.
        LockError: its CUDA does not fit.
    """
    digests = {}
    for key, address in to_lock(inputs.spec, inputs.settings).items():
        base = await pull(inputs, key, address)
        digests[address] = (await base.image_ref()).rpartition("@")[2]
    return digests
