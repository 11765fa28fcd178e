"""Scaffold of a new image: a folder that builds and passes its tests, as a start for changes."""

import re
import tomllib
from dataclasses import replace
from string import Template
from typing import Final

import dagger
from dagger import dag

from pipeline.build import pixi_image
from pipeline.build.inputs import BuildInputs
from pipeline.checkout import Checkout
from pipeline.commands.lock import solve
from pipeline.config.image_kind import ImageKind
from pipeline.config.image_toml import FILE, ImageSpec
from pipeline.config.validation import validate
from pipeline.errors import Code, PipelineError, SpecError
from pipeline.locks import base_images
from pipeline.locks.image_lock import LOCK
from pipeline.locks.manifest import PIXI_TOML

#: Folders of the repository that are not images; the functions do not see all of them.
RESERVED: Final = frozenset({"dev", "docs", "out", "pipeline", "sdk", "tests"})

#: Finds the manifest format of a pixi: the table `workspace` is known since 0.41, `exclude-newer` with a duration since
#: 0.67. An older pixi rejects a manifest with an unknown key or value, so a manifest without packages is tried.
ASK: Final = """
asked=$(mktemp -d)
cd "$asked"
reads() {
  printf '[%s]\\nname = "asked"\\nchannels = []\\nplatforms = ["linux-64"]\\n%s\\n' "$1" "$2" > pixi.toml
  pixi task list > /dev/null 2>&1
}
if reads workspace 'exclude-newer = "14d"'; then
  echo workspace waits
elif reads workspace ''; then
  echo workspace
else
  echo project
fi
"""
_WAITS: Final = """\
# A new version waits two weeks before it is locked: most that are broken or malicious are found out until then.
exclude-newer = "14d"
"""
_TAKES_NEWEST: Final = """\
# exclude-newer = "14d" lets new versions wait two weeks; the base's pixi is older than 0.67 and does not read it, so
# what is locked is the newest.
"""

_PIXI: Final = {
    FILE: """\
# Definition of this image: docs/images.md explains every key. The packages are in pixi.toml, pinned by pixi.lock.

description = "NumPy on Python 3.12"
# It runs without pixi, which only installs it.
runtime_base = "docker.io/library/debian:bookworm-slim"
size_budget = "1 GB"

[probes]
scripts = ["python"]
imports = ["numpy"]
""",
    PIXI_TOML: """\
# The packages of $name. After a change: dagger call lock --image $name

[$table]
name = "$name"
channels = ["conda-forge"]
platforms = ["linux-64"]
$waiting
[dependencies]
python = "3.12.*"
numpy = "*"
""",
    "README.md": """\
# $name

NumPy on Python 3.12, from conda-forge.

`image.toml` defines the image, `pixi.toml` lists the required packages, `pixi.lock` the installed packages, and
`base.lock` the digests of the base images.

```console
$$ dagger call build --image $name terminal
$$ dagger call smoke-test --image $name
$$ dagger call lock --image $name          # after a change of pixi.toml, or for newer packages and base images
```
""",
}
_DOCKERFILE: Final = {
    FILE: """\
# Definition of this image: docs/images.md explains every key. The Dockerfile installs the software.

description = "A program on Python 3.12"
dockerfile = "Dockerfile"
size_budget = "1 GB"

[build_args]
GREETING = "hello"

[probes]
scripts = ["python"]

[[probes.commands]]
command = ["$name"]
stdout_matches = "^hello, "
""",
    "Dockerfile": """\
# The software of $name; image.toml has the build arguments.
FROM docker.io/library/python:3.12-slim

COPY main.py /opt/$name/bin/$name
ARG GREETING
ENV PATH=/opt/$name/bin:$$PATH GREETING=$$GREETING
""",
    "main.py": """\
#!/usr/bin/env python3
\"""The program of $name: put your own here.\"""

import os
import platform

print(f"{os.environ['GREETING']}, this is Python {platform.python_version()}")
""",
    "README.md": """\
# $name

A program on Python 3.12.

`image.toml` defines the image, `Dockerfile` installs its software, and `main.py` is the program.

```console
$$ dagger call build --image $name terminal
$$ dagger call smoke-test --image $name
```
""",
}


def check_name(checkout: Checkout, name: str) -> None:
    """Reject a name that an image of this checkout cannot have.

    Raises:
        SpecError: registries do not accept the name, or another file or folder of the checkout has it.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*([._-][a-z0-9]+)*", name):
        raise SpecError(
            Code.IMAGE_NAME_INVALID,
            f"'{name}' cannot be the name of an image; start it with a lower-case letter, and go on with such letters "
            "and digits, in words that '_', '-' or '.' divides",
        )
    if (checkout.path / name / FILE).exists():
        raise SpecError(
            Code.IMAGE_NAME_INVALID,
            f"there is an image '{name}' already, and {name}/{FILE} is kept as it is; choose another name",
        )
    if name in RESERVED or (checkout.path / name).exists():
        raise SpecError(
            Code.IMAGE_NAME_INVALID,
            f"'{name}' is something else in this repository, and is kept as it is; choose another name",
        )


def files(name: str, kind: ImageKind, table: str = "workspace", *, waits: bool = True) -> dict[str, str]:
    """Return the files of a new image, by their names in its folder; a pixi image needs a lock in addition.

    Args:
        name: the image's name.
        kind: the image kind, pixi or Dockerfile.
        table: name of the first table of pixi.toml.
        waits: whether the pixi that locks it knows `exclude-newer` with a duration.
    """
    templates = _PIXI if kind is ImageKind.PIXI else _DOCKERFILE
    values = {"name": name, "table": table, "waiting": _WAITS if waits else _TAKES_NEWEST}
    return {file: Template(text).substitute(values) for file, text in templates.items()}


async def scaffold(checkout: Checkout, name: str, kind: ImageKind) -> dagger.Changeset:
    """Add the folder of a new image to a checkout.

    Args:
        checkout: the checkout to add it to.
        name: the name of the image and its folder.
        kind: the image kind, pixi or Dockerfile.

    Raises:
        SpecError: an image cannot have this name.
        PipelineError: the base image cannot be pulled, or its pixi does not start or cannot lock the packages.
    """
    check_name(checkout, name)
    inputs = BuildInputs(name, ImageSpec(description=name), checkout.settings, dag.directory(), commit=checkout.commit)
    if kind is ImageKind.DOCKERFILE:
        folder = _folder(files(name, kind))
    else:
        table, *waits = await _manifest_kind(inputs)
        folder = _folder(files(name, kind, table, waits=bool(waits)))
        spec = validate(ImageSpec, tomllib.loads(files(name, kind)[FILE]), f"{name}/{FILE}")
        inputs = replace(inputs, spec=spec, folder=folder)
        inputs = replace(inputs, base_digests=await pixi_image.find_digests(inputs))
        folder = folder.with_new_file(base_images.FILE, base_images.write(name, inputs.base_digests))
        folder = folder.with_file(LOCK, await solve(inputs, PIXI_TOML))
    return checkout.source.with_directory(name, folder).changes(checkout.source)


def _folder(texts: dict[str, str]) -> dagger.Directory:
    folder = dag.directory()
    for file, text in texts.items():
        folder = folder.with_new_file(file, text, permissions=0o755 if text.startswith("#!") else 0o644)
    return folder


async def _manifest_kind(inputs: BuildInputs) -> list[str]:
    """Return the name of a manifest's first table for the base's pixi, and a second word if new versions can wait."""
    base = await pixi_image.pull(inputs, "base", inputs.settings.base)
    try:
        return (await base.with_exec(["sh", "-euc", ASK]).stdout()).split()
    except dagger.ExecError as error:
        raise PipelineError(
            Code.BASE_IMAGE_UNSUITABLE,
            f"{inputs.image}: base image {inputs.settings.base} has no shell: {error.stderr.strip()}; "
            f"choose one with a shell and pixi as 'base' of {inputs.settings.file}",
        ) from error
