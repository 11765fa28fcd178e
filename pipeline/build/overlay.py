"""Reproducible layer of files that are copied over an image: everything that it touches gets one time."""

import json
from collections.abc import Sequence
from typing import Final

import dagger

from pipeline.build.tool_container import with_scripts

#: Paths in the tool container: the image's root file system, a copy to throw away, and the files to add.
_ROOT: Final = "/image"
_COPY: Final = "/copy"
_TREE: Final = "/tree"


def with_tree(
    container: dagger.Container,
    tree: dagger.Directory,
    tools: dagger.Container,
    *,
    writable: Sequence[str] = (),
    kept: Sequence[str] | None = None,
) -> dagger.Container:
    """Copy a directory's files over an image's root, as one layer whose bytes depend on the files alone.

    Made in a container of its own: so the image needs no shell and no program, and gets none of the engine's traces.
    Dagger's own ``with_directory`` is not reproducible: folders above the files get the current time.

    Args:
        container: the image.
        tree: the files, at their paths below the root.
        tools: a container with Python, of the image's platform: the image's own ldconfig runs there.
        writable: folders that all users may write to.
        kept: patterns of paths; from all others, the permission of others to change files is removed. None removes it
            nowhere.
    """
    root = container.rootfs()
    arguments = [_ROOT, _COPY, _TREE, json.dumps(list(writable)), json.dumps(kept and list(kept))]
    made = (
        tools.with_(with_scripts("folders.py", "finalize.py"))
        .with_mounted_directory(_ROOT, root)
        .with_mounted_directory(_COPY, root)
        .with_mounted_directory(_TREE, tree)
        .with_exec(["python", "-m", "pipeline.scripts.finalize", *arguments])
    )
    return container.with_rootfs(made.directory(_ROOT))
