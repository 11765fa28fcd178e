"""Places and commit of a publication: the repositories of an image, and the commit that is published."""

import re
from collections.abc import Sequence

from pipeline.config.image_toml import ImageSpec
from pipeline.config.settings import REGISTRY, Settings
from pipeline.errors import Code, PipelineError
from pipeline.git.commit import Commit


def repositories(image: str, spec: ImageSpec, settings: Settings, given: Sequence[str]) -> list[str]:
    """Return the repositories of an image: in the given registries, of its image.toml, or in the default registries.

    Raises:
        PipelineError: a given registry or the image's name is not valid in the name of a repository.
    """
    if spec.repositories and not given:
        return list(spec.repositories)
    paths = [f"{registry}/{image}" for registry in given or settings.registries]
    for repository in paths:
        if not re.fullmatch(REGISTRY, repository):
            raise PipelineError(
                Code.REPOSITORY_INVALID,
                f"'{repository}' is not a repository; name a registry and a path in lower case, as in --registries "
                f"{settings.registries[0]}, and the image's folder in lower case",
            )
    return paths


def published_commit(head: Commit | None, commit: str | None) -> Commit | None:
    """Return the commit that is published; None if it is not that of the checkout, of which nothing is known."""
    return head if head and head.sha.startswith((commit or "").lower()) else None
