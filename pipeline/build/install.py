"""Installation of an environment: install it, make its bytes reproducible, and divide it into layers.

One command does all of it. A later command would change the time of every file, and so copy the whole environment into
a second layer.
"""

import importlib.resources
from typing import Final

import dagger

from pipeline.build.download import ARCHIVES, DONE, fetcher
from pipeline.build.inputs import BuildInputs
from pipeline.build.pixi_errors import WITHIN
from pipeline.build.pixi_list import selected

#: Folder for the outputs that are not part of the environment. It is a mount: nothing of it is in an image.
_MADE: Final = "/.made"
#: The entrypoint, and the division of the files into layers, from the script ``divide``.
ENTRYPOINT: Final = f"{_MADE}/entrypoint.sh"
LAYERS: Final = f"{_MADE}/layers.json"
#: The post-link scripts that did not run, and the messages of those that did, from the script ``post_link``.
POST_LINK: Final = f"{_MADE}/post-link.json"
#: Mount point of an image with Python during the installation: the base image may have no Python.
_TOOLS: Final = "/.tools"
#: Folder for unpacked packages: not in a volume, so that pixi can link their files instead of copying them.
_UNPACKED: Final = "/.packages"
#: Modules of this package that the installation runs.
_MODULES: Final = (
    "build/layer_plan.py",
    *(f"scripts/{name}.py" for name in ("compile", "divide", "folders", "post_link", "unpack")),
)

#: Arguments: the prefix, the entrypoint and the list of layers to write, the tools, the list of fetched packages, the
#: archives, the folder to unpack them in, pixi's time limit in seconds, the report about post-link scripts to write,
#: "run" or "" for these scripts, and pixi's own arguments that select the environment.
_INSTALL: Final = """
prefix=$1 entrypoint=$2 layers=$3 tools=$4 fetched=$5 archives=$6 unpacked=$7 seconds=$8 post_link=$9
scripts=${10}
shift 10
run() { # Python with its own loader and libraries: those of the base image may be incompatible
  loader=$(echo "$tools"/lib/*/ld-linux-*.so.*)
  folder=${loader%/*}
  python=$(PATH=$tools/usr/local/bin:$tools/usr/bin command -v python3)
  (cd "$tools" && "$loader" --library-path "$tools/usr/local/lib:$folder:$tools/usr${folder#"$tools"}" \
    "$python" -E -s -m "$@")
}
run pipeline.scripts.unpack "$fetched" "$archives" "$unpacked/pkgs"
# The downloads of uv stay in the volume.
mkdir -p "$PIXI_CACHE_DIR/uv-cache"
ln -s "$PIXI_CACHE_DIR/uv-cache" "$unpacked/uv-cache"
# Old versions of pixi look for credentials below HOME.
within "$seconds" env HOME="${LOGINS_HOME:-${HOME:-/root}}" PIXI_NO_WRAP=1 PIXI_CACHE_DIR="$unpacked" \
  RATTLER_CACHE_DIR="$unpacked" pixi install --locked "$@"
rm -rf "$unpacked"
run pipeline.scripts.post_link "$prefix" "$post_link" "$scripts" "$seconds"
{
  printf '%s\\n' '#!/bin/bash' '# Runs a command in the activated environment.'
  pixi shell-hook --shell bash "$@"
  printf '%s\\n' 'exec "$@"'
} > "$entrypoint"
chmod 0755 "$entrypoint"
if [ -x "$prefix/bin/python" ]; then
  PYTHONHASHSEED=0 "$prefix/bin/python" -s -S "$tools/pipeline/scripts/compile.py"
fi
run pipeline.scripts.divide "$prefix" "$entrypoint" "$layers"
"""


def with_environment(container: dagger.Container, inputs: BuildInputs, prefix: str) -> dagger.Container:
    """Install an image's locked environment, divide it into layers, and write its entrypoint.

    The entrypoint is the file ``ENTRYPOINT``; it runs its arguments as a command in the activated environment.

    Args:
        container: the base image, with pixi, the manifest, the lock and the fetched packages.
        inputs: build inputs of the image.
        prefix: path of the environment.
    """
    environment, settings = inputs.spec.environment, inputs.settings
    arguments = [prefix, ENTRYPOINT, LAYERS, _TOOLS, DONE, ARCHIVES, _UNPACKED, str(settings.install_timeout)]
    scripts = inputs.spec.post_link_scripts
    if scripts:
        # Files that the scripts leave there must not get into the image.
        container = container.with_mounted_temp("/tmp")  # noqa: S108  # of the container
    arguments += [POST_LINK, "run" if scripts else ""]
    return (
        container.with_mounted_directory(_TOOLS, _tools(settings.fetch_base))
        .with_mounted_directory(_MADE, dagger.dag.directory())
        .with_exec(["sh", "-euc", WITHIN + _INSTALL, "sh", *arguments, *selected(environment)])
    )


def _tools(address: str) -> dagger.Directory:
    package = importlib.resources.files("pipeline")
    tools = fetcher(address).rootfs()
    for name in ("__init__.py", "build/__init__.py", "scripts/__init__.py"):
        tools = tools.with_new_file(f"/pipeline/{name}", "")
    for name in _MODULES:
        tools = tools.with_new_file(f"/pipeline/{name}", package.joinpath(name).read_text(encoding="utf-8"))
    return tools
