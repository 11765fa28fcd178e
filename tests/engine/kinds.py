"""A small image of each kind there is, to ask what holds for all of them."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import dagger
from dagger import dag

from pipeline.checkout import Checkout as Images
from pipeline.commands.scaffold import scaffold
from pipeline.config.image_kind import ImageKind
from pipeline.config.image_toml import Platform
from pipeline.config.settings import Settings
from pipeline.git.commit import Commit
from tests.engine.conftest import Checkout, copy_module

PREFIX: Final = "/app/.pixi/envs/default"
PYTHON: Final = ("python", "-c", "import ssl, sys; print(sys.prefix)")
DEBIAN: Final = "docker.io/library/debian:bookworm-slim"
#: Something that is fetched by http, and is there wherever conda-forge is.
PINNED: Final = "https://conda.anaconda.org/conda-forge/noarch/repodata.json"

#: Files and folders that the author made private, with their modes.
PRIVATE: Final = {
    "/etc/greeter": "700",
    "/etc/greeter/tls.key": "600",
    "/etc/munge.key": "400",
    "/etc/ssh_host_ed25519_key": "600",
    "/srv/licence": "640",
    "/usr/local/bin/helper": "4750",
}
#: Copies a folder that a strict umask made private, makes files and folders that all may write to, and private ones.
DOCKERFILE: Final = f"""
FROM {DEBIAN}
ARG GREETING=unsaid
COPY opt /opt
RUN mkdir /opt/greeter/share /workspace && echo "$GREETING" > /opt/greeter/share/text \\
    && touch /opt/greeter/share/all && chmod 666 /opt/greeter/share/all && mkdir -m 777 /opt/greeter/open
RUN mkdir /etc/greeter && touch /etc/greeter/tls.key /etc/munge.key /etc/ssh_host_ed25519_key /srv/licence \\
    /usr/local/bin/helper && chgrp games /srv/licence \\
    {" ".join(f"&& chmod {mode} {path}" for path, mode in PRIVATE.items())}
ENV PATH=/opt/greeter/bin:$PATH GREETER="somebody's"
USER 1234:1234
WORKDIR /opt/greeter
"""

#: The keys of image.toml besides the image kind.
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
class Example:
    """One image, and what is particular to it."""

    container: dagger.Container
    base: dagger.Container

    command: tuple[str, ...]
    """Runs a program of the image by its name alone."""

    output: str
    """The output of the command."""

    own: tuple[str, ...] = ("/app",)
    """Folders that have what is particular to it."""

    title: str = "small"
    description: str = "A small image"

    variable: tuple[str, str] = ("PYTHONNOUSERSITE", "1")
    """A variable that is neither its base's nor its software's, and its value."""

    private: Mapping[str, str] = field(default_factory=dict)
    """Modes of the files and folders that its author made private, by their path."""

    files: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Files that image.toml adds: mode and hash by their path."""


async def make_pixi(folder: Path, commit: Commit) -> Example:
    """An environment with Python and nothing else."""
    checkout, extras = await _checkout(folder)
    checkout.add_environment()
    container = await _build(await _open(folder), "small", commit)
    return replace(extras, container=container, command=PYTHON, output=PREFIX)


async def make_dockerfile(folder: Path, commit: Commit) -> Example:
    """A program that a Dockerfile copies from a checkout with a strict umask, beside what is private on purpose."""
    checkout, extras = await _checkout(folder)
    checkout.write("small/Dockerfile", DOCKERFILE)
    program = "small/opt/greeter/bin/greet"
    checkout.write(program, '#!/bin/sh\necho "$(cat /opt/greeter/share/text) $GREETER"\n')
    for path in (program, "small/opt/greeter/bin", "small/opt/greeter", "small/opt"):
        (checkout.path / path).chmod(0o700)
    spec = checkout.read("small/image.toml")
    checkout.write("small/image.toml", f'dockerfile = "Dockerfile"\nbuild_args = {{GREETING = "hello"}}\n{spec}')
    return replace(
        extras,
        container=await _build(await _open(folder), "small", commit),
        base=dag.container().from_(DEBIAN),
        command=("greet",),
        output="hello somebody's",
        own=("/app", "/opt/greeter"),
        private=PRIVATE,
    )


async def make_scaffolded_pixi(folder: Path, commit: Commit) -> Example:
    """The files that `scaffold` makes for pixi, untouched."""
    return Example(
        container=await _scaffold(folder, ImageKind.PIXI, commit),
        base=dag.container().from_(DEBIAN),
        command=PYTHON,
        output=PREFIX,
        title="fresh",
        description="NumPy on Python 3.12",
    )


async def make_scaffolded_dockerfile(folder: Path, commit: Commit) -> Example:
    """The files that `scaffold` makes for a Dockerfile, untouched."""
    container = await _scaffold(folder, ImageKind.DOCKERFILE, commit)
    return Example(
        container=container,
        base=dag.container().from_("docker.io/library/python:3.12-slim"),
        command=("fresh",),
        output=f"hello, this is {await container.with_exec(['python3', '--version']).stdout()}".strip(),
        own=("/app", "/opt/fresh"),
        title="fresh",
        description="A program on Python 3.12",
    )


MAKERS: Final[Mapping[str, Callable[[Path, Commit], Awaitable[Example]]]] = {
    "pixi": make_pixi,
    "dockerfile": make_dockerfile,
    "scaffolded-pixi": make_scaffolded_pixi,
    "scaffolded-dockerfile": make_scaffolded_dockerfile,
}


async def _checkout(folder: Path) -> tuple[Checkout, Example]:
    """A checkout with an image that wants its software, and what to expect of it besides."""
    checkout = Checkout(folder)
    copy_module(folder, ["pyproject.toml"])
    checkout.write("small/greeting", "hello\n")
    greeting, pinned = [
        hashlib.sha256(text.encode()).hexdigest() for text in ("hello\n", await dag.http(PINNED).contents())
    ]
    checkout.write("small/image.toml", EXTRAS.format(url=PINNED, sha256=pinned))
    base = dag.container().from_(Settings().base)
    files = {"/usr/local/share/greeting": ("644", greeting), "/usr/local/share/pinned": ("444", pinned)}
    return checkout, Example(base, base, (), "", variable=("GREETING", "it's"), files=files)


async def _scaffold(folder: Path, kind: ImageKind, commit: Commit) -> dagger.Container:
    copy_module(folder, ["pyproject.toml"])
    after = (await scaffold(await _open(folder), "fresh", kind)).after()
    return await _build(await Images.open(after), "fresh", commit)


async def _open(folder: Path) -> Images:
    return await Images.open(dag.host().directory(str(folder)))


async def _build(images: Images, image: str, commit: Commit) -> dagger.Container:
    return (await replace(images, commit=commit).image(image).build()).container


async def build_for_both(folder: Path) -> dict[Platform, dagger.Container]:
    """The image of a Dockerfile for each of its two platforms."""
    checkout = Checkout(folder)
    copy_module(folder, ["pyproject.toml"])
    checkout.write("both/Dockerfile", f"FROM {DEBIAN}\nARG TARGETPLATFORM\nRUN echo $TARGETPLATFORM > /platform\n")
    platforms = 'platforms = ["linux/arm64", "linux/amd64"]'
    checkout.write("both/image.toml", f'description = "For two platforms"\ndockerfile = "Dockerfile"\n{platforms}\n')
    built = await (await _open(folder)).image("both").build_all()
    return {platform: image.container for platform, image in built.items()}
