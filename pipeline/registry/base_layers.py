"""Layers of base images as their registries have them: by digest, and never as an engine exports them.

An engine may compress a layer of a base image again. Such a layer has another digest, so every node that has the base
image would pull it once more, and the image's digest would depend on the engine.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import dagger
from dagger import dag

from pipeline.build.image import Image
from pipeline.build.tool_container import with_scripts
from pipeline.config.settings import Settings
from pipeline.credentials.logins import Logins
from pipeline.credentials.registry_auth import login_for, repository_of
from pipeline.engine_errors import reason_of
from pipeline.errors import Code, PipelineError
from pipeline.registry.client import Destination, client, with_job

_OUTPUT: Final = "/base"
#: Names of the files with a description of the layers, and with the settings that are Docker's own.
LAYERS: Final = "layers.json"
SETTINGS: Final = "settings.json"


@dataclass(frozen=True)
class BaseLayers:
    """Layers of an image's base image on the platform of the image."""

    image: str
    """The image's name in messages."""

    reference: str
    """The base image as the engine resolves it, with its registry and its digest."""

    to: Destination
    digest: str
    platform: str

    async def describe(self, settings: Settings) -> dagger.Directory:
        """Return the folder with a description of the image, which the engine makes once for a digest.

        Raises:
            PipelineError: its registry does not give it.
        """
        try:
            return await self._run(settings, "describe").directory(_OUTPUT).sync()
        except dagger.QueryError as error:
            raise self.explain(error) from error

    def fetched_by(self, settings: Settings, digests: Sequence[str]) -> dagger.Directory:
        """Return a folder of an OCI layout with some of the layers."""
        return self._run(settings, "fetch", digests).directory(_OUTPUT)

    def explain(self, error: dagger.QueryError) -> PipelineError:
        """Return the error to raise when its registry does not give the layers."""
        return PipelineError(
            Code.BASE_IMAGE_UNAVAILABLE,
            f"{self.image}: the layers of base image {self.reference} cannot be read from its registry: "
            f"{reason_of(error)}; check that it can be reached, and its credentials, and run the same command again",
        )

    def _run(self, settings: Settings, action: str, blobs: Sequence[str] = ()) -> dagger.Container:
        # What a digest names does not change, so the engine may answer from its cache.
        job = with_job(
            settings, self.to, action, cached=True, digest=self.digest, platform=self.platform, blobs=list(blobs)
        )
        command = ["python", "-m", "pipeline.scripts.base_layers", "/job.json", _OUTPUT]
        return client(settings).with_(with_scripts("base_layers.py")).with_(job).with_exec(command)


async def resolve(image: str, address: str, platform: dagger.Platform) -> str:
    """Return a base image with its registry and its digest: that of the index, if there is one.

    Args:
        image: name of the image that is built on it.
        address: the base image.
        platform: a platform that it must have.

    Raises:
        PipelineError: it cannot be found.
    """
    try:
        return await dag.container(platform=platform).from_(address).image_ref()
    except dagger.QueryError as error:
        raise PipelineError(
            Code.BASE_IMAGE_UNAVAILABLE,
            f"{image}: base image {address} cannot be found: {reason_of(error)}; try again later",
        ) from error


async def find_base(image: Image, logins: Logins) -> BaseLayers | None:
    """Return the base image of an image by its digest; None where it has none, or it is unknown.

    Raises:
        PipelineError: it cannot be found.
    """
    if not image.base:
        return None
    platform = await image.without_environment.platform()
    reference = await resolve(image.name, image.base, platform)
    repository = repository_of(reference)
    to = Destination(repository, login_for(repository, logins.registries))
    return BaseLayers(image.name, reference, to, reference.rpartition("@")[2], platform)
