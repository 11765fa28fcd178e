"""SIF file of an image, which Apptainer runs: the image's root file system in one file, the same at each build.

mksquashfs reads the root file system as the engine has it, with the owners that the image gives. Apptainer itself
writes the files that it adds to an image (``/.singularity.d`` and links to it) for an image without content: it mounts
and starts nothing then, and needs no privileges. Its own ``build`` of the whole image writes the time of day and a
random identifier into the file.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import dagger
from dagger import dag

from pipeline.build.image import Image
from pipeline.build.tool_container import read_script, with_scripts
from pipeline.concurrency import results_of
from pipeline.config.settings import Settings
from pipeline.engine_errors import reason_of
from pipeline.errors import Code, PipelineError

#: PATH in the tool image, which sets none: it is made without a base image.
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: Paths in the containers: the image, the image without content, its name there, and the parts of the SIF file.
ROOT: Final = "/image"
_EMPTY: Final = "/empty"
PARTS: Final = "/parts"
_SIF: Final = "/image.sif"
_OCI: Final = "application/vnd.oci.image"
#: Size and digest of an archive of no files, which ``squash.sh`` writes as the layer of the image without content.
NO_BYTES: Final = 1024
NO_FILES: Final = f"sha256:{hashlib.sha256(bytes(NO_BYTES)).hexdigest()}"


async def sif_file(settings: Settings, image: Image, made: datetime | None) -> dagger.File:
    """Make the SIF file of an image.

    Args:
        settings: the settings.
        image: the image for one platform.
        made: creation time of the image; the start of 1970 if None.

    Raises:
        PipelineError: the file cannot be made.
    """
    architecture = (await image.container.platform()).split("/")[1]
    config = await read_config(image)
    created = str(int(made.timestamp()) if made else 0)
    prefix = image.environment.prefix if image.environment else ""
    empty = dag.directory()
    for path, text in empty_image(config, architecture).items():
        empty = empty.with_new_file(path, text)
    squash = ["sh", "-euc", read_script("squash.sh"), "sh", image.name, architecture, created, prefix]
    parts = (
        apptainer(settings)
        .with_directory(f"{_EMPTY}/{image.name}", empty)
        .with_mounted_directory(ROOT, image.container.rootfs())
        .with_exec(squash)
        .directory(PARTS)
        .with_new_file("oci-config.json", encode(config))
    )
    made_file = (
        dag.container()
        .from_(settings.fetch_base)
        .with_(with_scripts("sif.py"))
        .with_mounted_directory(PARTS, parts)
        .with_exec(["python", "-m", "pipeline.scripts.sif", PARTS, architecture, created, _SIF])
        .file(_SIF)
    )
    try:
        return await made_file.sync()
    except dagger.QueryError as error:
        raise PipelineError(
            Code.STEP_FAILED,
            f"{image.name}: its SIF file was not made: {reason_of(error)}; see that the engine has room on its disk, "
            "and run the same command again",
        ) from error


def apptainer(settings: Settings) -> dagger.Container:
    """Return a container with Apptainer, mksquashfs and unsquashfs."""
    return (
        dag.container()
        .from_(settings.apptainer)
        .with_user("root")
        .with_env_variable("PATH", _PATH)
        .with_env_variable("LC_ALL", "C")
        .with_env_variable("APPTAINER_TMPDIR", "/var/tmp")  # noqa: S108  # of the container, where /tmp is in memory
    )


async def read_config(image: Image) -> dict[str, Any]:
    """Read an image's configuration: its variables, entrypoint, arguments, labels, user and folder."""
    container = image.container

    async def variable(each: dagger.EnvVariable) -> str:
        return f"{await each.name()}={await each.value()}"

    async def label(each: dagger.Label) -> tuple[str, str]:
        return await each.name(), await each.value()

    config = {
        "Env": await results_of(variable, await container.env_variables()),
        "Entrypoint": await container.entrypoint(),
        "Cmd": await container.default_args(),
        "Labels": dict(await results_of(label, await container.labels())),
        "User": await container.user(),
        "WorkingDir": await container.workdir(),
    }
    return {key: value for key, value in {**config, **image.settings}.items() if value}


def empty_image(config: Mapping[str, Any], architecture: str) -> dict[str, str]:
    """Return the files of an OCI layout with a configuration and an empty layer, whose blob ``squash.sh`` adds."""
    files: dict[str, str] = {}

    def add(kind: str, content: Mapping[str, Any]) -> dict[str, Any]:
        data = encode(content).encode()
        digest = hashlib.sha256(data).hexdigest()
        files[f"blobs/sha256/{digest}"] = data.decode()
        return {"mediaType": f"{_OCI}.{kind}", "digest": f"sha256:{digest}", "size": len(data)}

    rootfs = {"type": "layers", "diff_ids": [NO_FILES]}
    document = {"architecture": architecture, "os": "linux", "config": config, "rootfs": rootfs}
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{_OCI}.manifest.v1+json",
        "config": add("config.v1+json", document),
        "layers": [{"mediaType": f"{_OCI}.layer.v1.tar", "digest": NO_FILES, "size": NO_BYTES}],
    }
    files["index.json"] = encode({"schemaVersion": 2, "manifests": [add("manifest.v1+json", manifest)]})
    files["oci-layout"] = encode({"imageLayoutVersion": "1.0.0"})
    return files


def encode(content: Mapping[str, Any]) -> str:
    """Return a document as text, the same for the same content."""
    return json.dumps(content, separators=(",", ":"), sort_keys=True)
