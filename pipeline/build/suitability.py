"""Requirements of an image that pixi installs on its base images: found out before anything is downloaded."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import dagger

from pipeline.config.image_toml import Platform
from pipeline.errors import Code, PipelineError

#: The loader of the GNU C library, which the programs of conda packages name as their interpreter.
LOADERS: Final[Mapping[Platform, str]] = {
    "linux/amd64": "/lib64/ld-linux-x86-64.so.2",
    "linux/arm64": "/lib/ld-linux-aarch64.so.1",
    "linux/ppc64le": "/lib64/ld64.so.2",
}
#: The shell that the entrypoint and the activation scripts of packages are written for.
BASH: Final = "/bin/bash"
#: Programs that the installation runs.
INSTALLING: Final = ("/bin/sh", "/usr/bin/timeout")


@dataclass(frozen=True)
class Role:
    """A base image in its role for an image."""

    image: str
    key: str
    """The key of image.toml that names it."""
    file: str
    """That image.toml."""
    address: str

    def explain(self, missing: str, reason: str, remedy: str) -> PipelineError:
        """Return the error to raise where the base image lacks a file."""
        return PipelineError(
            Code.BASE_IMAGE_UNSUITABLE,
            f"{self.image}: base image {self.address} has no {missing}, {reason}; {remedy} as '{self.key}' in "
            f"{self.file}",
        )


async def require_suitable(base: dagger.Container, role: Role, platform: Platform) -> None:
    """Reject a base image that no environment can run on, or be installed in.

    Raises:
        PipelineError: it lacks the C library or a shell.
        dagger.QueryError: it cannot be pulled.
    """
    installs = role.key == "base"
    example = "a pixi image such as ghcr.io/prefix-dev/pixi:noble" if installs else "one such as debian:bookworm-slim"
    loader = LOADERS[platform]
    if not await base.exists(loader):
        raise role.explain(
            loader,
            "so its C library is not glibc, which conda packages are made for (Alpine has musl)",
            f"choose {example}",
        )
    if not await base.exists(BASH):
        raise role.explain(
            BASH, "which the entrypoint needs to activate the environment", f"add bash to it, or choose {example}"
        )
    for program in INSTALLING if installs else ():
        if not await base.exists(program):
            raise role.explain(
                program,
                "which the installation needs",
                f"name this one as 'runtime_base' if the image is to be put on it, and choose {example}",
            )
