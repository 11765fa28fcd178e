"""One layer with the same bytes whenever it is made: files put over an image, with one time for all that it touches."""

import importlib.resources
from typing import Final

import dagger

#: Where the files stand while they are copied. The engine makes this folder for the time of the copying.
_TREE: Final = "/.tree"


def with_tree(container: dagger.Container, tree: dagger.Directory) -> dagger.Container:
    """Copy a folder's files over an image's root, as one layer whose bytes follow from the files alone.

    Owners and modes of files and new folders are the tree's; folders that are there keep theirs, and may be links to
    folders. Dagger's own ``with_directory`` leaves the time of day in the folders above the files.

    Args:
        container: the image, whose user is root; it has a shell, and `cp`, `rm` and `touch` of coreutils or BusyBox.
        tree: the files, at the paths that they get below the root.
    """
    script = importlib.resources.files("pipeline.scripts").joinpath("tree.sh").read_text(encoding="utf-8")
    copied = container.with_mounted_directory(_TREE, tree).with_exec(["sh", "-euc", script, "sh", _TREE])
    return copied.without_mount(_TREE)
