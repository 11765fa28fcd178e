"""Base images that no environment can run on, or be installed in: found out by their files."""

from typing import cast

import dagger
import pytest

from pipeline.build.suitability import BASH, INSTALLING, LOADERS, Role, require_suitable
from pipeline.errors import Code
from tests.unit.refusals import refused

pytestmark = pytest.mark.asyncio
LOADER = LOADERS["linux/amd64"]


class Base:
    """A container that has some files."""

    def __init__(self, *files: str) -> None:
        self.files = files

    async def exists(self, path: str) -> bool:
        """As the engine says."""
        return path in self.files


async def check(key: str, *files: str) -> None:
    """Check a base image with these files."""
    role = Role("small", key, "small/image.toml", "example.org/base:1")
    await require_suitable(cast("dagger.Container", Base(*files)), role, "linux/amd64")


@pytest.mark.parametrize(
    ("key", "files", "facts"),
    [
        ("base", (), [LOADER, "glibc", "'base'", "pixi image"]),
        ("runtime_base", ("/bin/sh", "/lib/ld-musl-x86_64.so.1"), [LOADER, "musl", "'runtime_base'", "bookworm-slim"]),
        ("runtime_base", (LOADER,), [BASH, "entrypoint", "add bash"]),
        ("base", (LOADER, BASH), ["/bin/sh", "installation", "'runtime_base'"]),
        ("base", (LOADER, BASH, "/bin/sh"), ["/usr/bin/timeout", "installation"]),
    ],
)
async def test_a_base_that_lacks_something_is_refused(key: str, files: tuple[str, ...], facts: list[str]) -> None:
    """The sentence has the base image, the file that it lacks, what that is for, and the key to change."""
    with refused(Code.BASE_IMAGE_UNSUITABLE, "small", "example.org/base:1", "small/image.toml", *facts):
        await check(key, *files)


async def test_a_base_that_has_all_is_taken() -> None:
    """The image that an environment is put on needs the C library and bash alone."""
    await check("runtime_base", LOADER, BASH)
    await check("base", LOADER, BASH, *INSTALLING)
