"""The names of the internet that the sandbox plays, each with an address of its own inside the machine."""

from dataclasses import dataclass
from typing import Final

from tests.sandbox.errors import SandboxError


@dataclass(frozen=True)
class Host:
    """A name, and what answers under it on port 443.

    Attributes:
        name: as people write it in a reference or a URL; names the service and its certificate too.
        address: IPv4, on the machine's loopback interface; from 198.18.0.0/15, which no real network uses.
        storage_port: where the registry behind it listens on 127.0.0.1, or 0 for a host of plain files.
        user_variable: environment variable that holds the user name that may push, or read files that not all may.
        password_variable: environment variable that holds that user's password.
        lists_referrers: whether the registry behind it lists what refers to an image; else clients keep a tag for that.
    """

    name: str
    address: str
    storage_port: int = 0
    user_variable: str = ""
    password_variable: str = ""
    lists_referrers: bool = False

    @property
    def asks(self) -> bool:
        """Whether it has a user name and a password: for all files, or to push images and to pull private ones."""
        return bool(self.password_variable)

    @property
    def is_registry(self) -> bool:
        """Whether images can be pushed to it."""
        return self.storage_port != 0

    @property
    def direct_port(self) -> int:
        """The port of its web server on 127.0.0.1, for proxies that stand in front of it."""
        return self.storage_port + 1000

    @property
    def storage_name(self) -> str:
        """The name of the registry process behind the host."""
        return f"{self.name}.storage"


HOSTS: Final = (
    Host("ghcr.io", "198.18.0.1", 5001, "GITHUB_ACTOR", "GITHUB_TOKEN"),
    Host("registry-1.docker.io", "198.18.0.2", 5002, "DOCKER_USERNAME", "DOCKER_PASSWORD"),
    Host(
        "hub.opensciencegrid.org",
        "198.18.0.3",
        5003,
        "OSG_HARBOR_ROBOT_USER",
        "OSG_HARBOR_ROBOT_PASSWORD",
        lists_referrers=True,
    ),
    Host("conda.anaconda.org", "198.18.0.4"),
    Host("packages.maniaclab.example", "198.18.0.5", 0, "CHANNEL_USERNAME", "CHANNEL_PASSWORD"),
)
ASKING: Final = tuple(host for host in HOSTS if host.asks)
REGISTRIES: Final = tuple(host for host in HOSTS if host.is_registry)

#: The channel that is served at https://conda.anaconda.org/.
CHANNEL: Final = "https://conda.anaconda.org/conda-forge"
#: A lab's own channels and wheels: a user name and a password read all of it, and below `token/` the password alone, as
#: a bearer token. Tests put them there.
PRIVATE: Final = HOSTS[-1]


def registry(name: str) -> Host:
    """The registry of a name.

    Raises:
        SandboxError: there is none.
    """
    for host in REGISTRIES:
        if host.name == name:
            return host
    names = ", ".join(host.name for host in REGISTRIES)
    raise SandboxError(f"There is no registry {name} in the sandbox; there are {names}.")


def hosts_file() -> str:
    """The machine's ``/etc/hosts``: the engine, its containers and pixi all follow it."""
    lines = ["127.0.0.1 localhost sandbox", *(f"{host.address} {host.name}" for host in HOSTS)]
    return "".join(f"{line}\n" for line in lines)


def parse_reference(reference: str) -> tuple[str, str, str]:
    """Split an image reference into host name, repository and tag, with the defaults of Docker.

    ``python:3.14-slim`` is ``("registry-1.docker.io", "library/python", "3.14-slim")``.
    """
    first, slash, rest = reference.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost"):
        first, rest = "docker.io", reference
    repository, _, tag = rest.partition(":")
    if first == "docker.io":
        first = "registry-1.docker.io"
        repository = repository if "/" in repository else f"library/{repository}"
    return first, repository, tag or "latest"
