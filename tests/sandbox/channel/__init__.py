"""The sandbox's conda-forge: real conda packages, made from what the machine's package registries serve.

`build` makes the whole channel; `python_tree` gives its Python as a plain folder. For a test that needs other
packages: `index.clone` copies the channel, `package.write` adds a small package, `index.refresh` lists it.
"""

from tests.sandbox.channel.assemble import build
from tests.sandbox.channel.interpreter import find_python, python_tree

__all__ = ["build", "find_python", "python_tree"]
