"""Remedies for what only the owner of a repository can change, with the place where the registry has the setting."""

from typing import Final

from pipeline.scripts.messages import Kind, RegistryFailure

DOCKER_HUB: Final = "docker.io"
GITHUB: Final = "ghcr.io"


def remedy(repository: str, failure: RegistryFailure | None) -> str:
    """Return what has to be done before a failed operation is tried again; empty if trying again is all."""
    if failure is None or failure.kind is not Kind.IMMUTABLE:
        return ""
    # A registry without the referrers API lists attachments under tags of their own.
    tag = failure.tag if failure.doing.startswith("pushing") else "sha256-…"
    host, project, name = _parts(repository)
    if host == DOCKER_HUB:
        place = f"on hub.docker.com, My Hub > Repositories > {project}/{name} > Settings > General > Tag mutability"
    elif "PRECONDITION" in failure.reason:
        place = f"on Harbor, Projects > {project} > Policy > Tag Immutability"
    else:
        place = "in the settings of its registry"
    exclude = f"exclude {tag} and all other floating tags from it"
    return f"a tag immutability rule of {repository} holds {tag}: {exclude} ({place})"


def describe_private(repository: str, answer: str) -> str:
    """Return the note about a repository that nobody can pull from without a login."""
    host, project, name = _parts(repository)
    places = {
        GITHUB: "a new package is private; on GitHub, its page > Package settings > Danger Zone > Change visibility",
        DOCKER_HUB: f"on hub.docker.com, My Hub > Repositories > {project}/{name} > Settings > General > Visibility",
    }
    place = places.get(host, f"on Harbor, Projects > {project} > Configuration > Public")
    return f"{repository} is private: nobody can pull it without a login ({answer}); to make it public: {place}"


def _parts(repository: str) -> tuple[str, str, str]:
    """Return the host, the project and the name of a repository."""
    host, _, path = repository.partition("/")
    project, _, name = path.partition("/")
    return host, project, name
