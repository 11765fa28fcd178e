"""A small image of each kind there is, to ask what holds for all of them."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import dagger
from dagger import dag

from pipeline.checkout import Checkout as Images
from pipeline.commit import Commit
from pipeline.settings import Settings
from tests.engine.conftest import Checkout, copy_module, overlay

PREFIX: Final = "/app/.pixi/envs/default"
DEBIAN: Final = "docker.io/library/debian:bookworm-slim"
#: Something that is fetched by http, and is there wherever conda-forge is.
PINNED: Final = "https://conda.anaconda.org/conda-forge/noarch/repodata.json"
#: Folders that may be written to; all else is read-only where a person says so.
WRITABLE: Final = ("/tmp", "/workspace", *(f"/app/.jupyter/{name}" for name in ("config", "data", "runtime")))  # noqa: S108

#: Files that nobody but their owner may read and run, files and folders that all may write: what happens in a folder.
DOCKERFILE: Final = f"""
FROM {DEBIAN}
ARG GREETING=unsaid
COPY greet /opt/greeter/bin/
RUN umask 077 && mkdir /opt/greeter/share /workspace && echo "$GREETING" > /opt/greeter/share/text \\
    && touch /opt/greeter/share/all && chmod 666 /opt/greeter/share/all && mkdir -m 777 /opt/greeter/open
ENV PATH=/opt/greeter/bin:$PATH GREETER="somebody's"
USER 1234:1234
WORKDIR /opt/greeter
"""

#: What image.toml says besides the kind.
EXTRAS: Final = """
description = "A small image"
[env]
GREETING = "it's"
[[files]]
source = "greeting"
path = "/usr/local/share/greeting"
[[files]]
url = "{url}"
sha256 = "{sha256}"
path = "/usr/local/share/pinned"
mode = "0444"
"""


@dataclass(frozen=True)
class Kind:
    """One image, and what is particular to it."""

    container: dagger.Container
    base: dagger.Container

    command: tuple[str, ...]
    """Runs a program of the image by its name alone."""

    said: str
    """What that prints."""

    own: tuple[str, ...]
    """Folders that have what is particular to it."""

    pinned: str
    """The hash of the file that was fetched for it."""


type Maker = Callable[[Path, Commit], Awaitable[Kind]]


async def make_pixi(folder: Path, commit: Commit) -> Kind:
    """An environment with Python and nothing else."""
    checkout, pinned = await _checkout(folder)
    for name in ("pixi.toml", "pixi.lock"):
        checkout.write(f"small/{name}", (overlay("small") / name).read_text())
    command = ("python", "-c", "import ssl, sys; print(sys.prefix)")
    base = dag.container().from_(Settings().base)
    return Kind(await _build(folder, "small", commit), base, command, PREFIX, ("/app",), pinned)


async def make_dockerfile(folder: Path, commit: Commit) -> Kind:
    """A program that a Dockerfile copies, careless about who may read it."""
    checkout, pinned = await _checkout(folder)
    checkout.write("small/Dockerfile", DOCKERFILE)
    checkout.write("small/greet", '#!/bin/sh\necho "$(cat /opt/greeter/share/text) $GREETER"\n')
    (checkout.path / "small/greet").chmod(0o700)
    spec = checkout.read("small/image.toml")
    checkout.write("small/image.toml", f'dockerfile = "Dockerfile"\nbuild_args = {{GREETING = "hello"}}\n{spec}')
    base = dag.container().from_(DEBIAN)
    container = await _build(folder, "small", commit)
    return Kind(container, base, ("greet",), "hello somebody's", ("/app", "/opt/greeter"), pinned)


MAKERS: Final[Mapping[str, Maker]] = {"pixi": make_pixi, "dockerfile": make_dockerfile}


async def _checkout(folder: Path) -> tuple[Checkout, str]:
    checkout = Checkout(folder)
    copy_module(folder, ["pyproject.toml"])
    checkout.write("small/greeting", "hello\n")
    pinned = hashlib.sha256((await dag.http(PINNED).contents()).encode()).hexdigest()
    checkout.write("small/image.toml", EXTRAS.format(url=PINNED, sha256=pinned))
    return checkout, pinned


async def _build(folder: Path, image: str, commit: Commit) -> dagger.Container:
    images = await Images.open(dag.host().directory(str(folder)))
    return await replace(images, commit=commit).build(image)
