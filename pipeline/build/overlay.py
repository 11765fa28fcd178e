"""Reproducible layer of files that are copied over an image: everything that it touches gets one time."""

from typing import Final

import dagger

from pipeline.build.tool_container import read_script

#: Mount point of the files during the copy. The engine makes this folder, and removes it afterwards.
_TREE: Final = "/.tree"


def with_tree(container: dagger.Container, tree: dagger.Directory) -> dagger.Container:
    """Copy a directory's files over an image's root, as one layer whose bytes depend on the files alone.

    Files and new folders have the owners and modes of the tree. Existing folders keep theirs, and may be links to
    folders. Dagger's own ``with_directory`` is not reproducible: folders above the files get the current time.

    Args:
        container: the image, whose user is root; it has a shell, and `cp`, `rm` and `touch` of coreutils or BusyBox.
        tree: the files, at their paths below the root.
    """
    copy = ["sh", "-euc", read_script("tree.sh"), "sh", _TREE]
    return container.with_mounted_directory(_TREE, tree).with_exec(copy).without_mount(_TREE)
