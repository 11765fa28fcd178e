"""A stand-in for a current pixi, which no package registry serves: py-rattler does the conda half, uv the PyPI half.

It is what images of the sandbox have as ``/usr/local/bin/pixi`` where a manifest needs more than pixi 0.15.2. It takes
the commands that the pipeline gives, and answers as pixi does: the same JSON, exit codes, and sentences.
"""

#: The pixi that it stands for.
VERSION = "0.77.0"
