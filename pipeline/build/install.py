"""Installation of an environment: install it, make its bytes reproducible, and divide it into layers.

One command does all of it. A later command would change the time of every file, and so copy the whole environment into
a second layer.
"""

import importlib.resources
import time
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

import dagger

from pipeline.build import post_link
from pipeline.build.download import (
    ARCHIVES,
    WHEELS,
    explain_fetch,
    fetch_stage,
    fetched_list,
    fetcher,
    packages,
    with_fetched,
)
from pipeline.build.inputs import BuildInputs
from pipeline.build.pixi_errors import WITHIN, explain_install
from pipeline.build.pixi_list import selected, with_inputs
from pipeline.config.image_toml import ImageSpec
from pipeline.engine_errors import reason_of
from pipeline.errors import Code, PipelineError
from pipeline.locks.image_lock import SUBDIRS, ImageLock, Locked
from pipeline.output.console import log
from pipeline.scripts.unpack import DAMAGED

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
#: Folder for what pixi caches when it only prints: its variables must not name a folder of the image.
_CACHE: Final = f"{_MADE}/cache"
#: Modules of this package that the installation runs.
_MODULES: Final = (
    "build/layer_plan.py",
    *(f"scripts/{name}.py" for name in ("compile", "divide", "folders", "post_link", "unpack")),
)

#: A function of the shell: links a path to a folder of a cache that begins again every 30 days, because uv does not
#: note what it uses. The previous folder stays, since another build may use it. Arguments: the cache, and the path.
KEEP: Final = """
keep() {
  period=$(($(date +%s) / 2592000))
  for folder in "$1"/*; do
    case ${folder##*/} in "$period" | "$((period - 1))") ;; *) rm -rf "$folder" ;; esac
  done
  mkdir -p "$1/$period"
  ln -s "$1/$period" "$2"
}
"""
#: Arguments: the prefix, the entrypoint and the list of layers to write, the tools, the list of fetched packages, the
#: archives, the folder to unpack them in, pixi's time limit in seconds, the report about post-link scripts to write,
#: "run" or "" for these scripts, the folder for downloads of uv or "", and pixi's own arguments that select the
#: environment.
_INSTALL: Final = """
prefix=$1 entrypoint=$2 layers=$3 tools=$4 fetched=$5 archives=$6 unpacked=$7 seconds=$8 post_link=$9
scripts=${10} wheels=${11}
shift 11
run() { # Python with its own loader and libraries: those of the base image may be incompatible
  loader=$(echo "$tools"/lib/*/ld-linux-*.so.*)
  folder=${loader%/*}
  python=$(PATH=$tools/usr/local/bin:$tools/usr/bin command -v python3)
  (cd "$tools" && "$loader" --library-path "$tools/usr/local/lib:$folder:$tools/usr${folder#"$tools"}" \
    "$python" -E -s -m "$@")
}
run pipeline.scripts.unpack "$fetched" "$archives" "$unpacked/pkgs"
[ -z "$wheels" ] || keep "$wheels" "$unpacked/uv-cache"
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


async def install(
    base: dagger.Container, inputs: BuildInputs, lock: ImageLock, locked: Locked, prefix: str
) -> dagger.Container:
    """Fetch an image's locked packages, install its environment, divide it into layers, and write its entrypoint.

    The entrypoint is the file ``ENTRYPOINT``; it runs its arguments as a command in the activated environment. Packages
    that turn out to be damaged in the cache are fetched again, once.

    Args:
        base: the base image; it has pixi.
        inputs: build inputs of the image.
        lock: its manifest and lock.
        locked: the packages to install.
        prefix: path of the environment.

    Raises:
        LockError: a package was locked without a hash, or the lock is stale for pixi.
        PipelineError: a package cannot be fetched or installed.
    """
    image, subdir = inputs.image, SUBDIRS[inputs.platform]
    copied = runs_code(inputs.spec, (package.url for (kind, _), package in locked.packages.items() if kind == "pypi"))
    container = with_inputs(base, inputs, lock).with_(inputs.logins.mounted)
    again = ""
    while True:
        fetching = await _fetch(inputs, locked, copied=copied, again=again)
        fetched = with_fetched(container, fetching, subdir, copied=copied)
        try:
            return await _with_environment(fetched, inputs, prefix, copied=copied).sync()
        except dagger.ExecError as error:
            if error.exit_code != DAMAGED or again:
                raise _explain(inputs, lock, error) from error
            log(f"{image}: {reason_of(error)}; the packages are fetched again\n")
            again = str(time.time_ns())


def runs_code(spec: ImageSpec, pypi: Iterable[str]) -> bool:
    """Return whether an installation runs code of packages: it builds wheels, or runs post-link scripts.

    Args:
        spec: the image's image.toml.
        pypi: URLs or paths of its PyPI packages.
    """
    return spec.post_link_scripts or not all(urlsplit(url).path.endswith(".whl") for url in pypi)


async def _fetch(inputs: BuildInputs, locked: Locked, *, copied: bool, again: str) -> dagger.Container:
    image, base, logins = inputs.image, inputs.settings.fetch_base, inputs.logins
    to_fetch = packages(image, locked.conda.values())
    fetching = fetch_stage(base, to_fetch, SUBDIRS[inputs.platform], logins, copied=copied, again=again)
    try:
        return await fetching.sync()
    except dagger.ExecError as error:
        raise explain_fetch(image, error.stdout, error.stderr, logins.channels) from error


def _explain(inputs: BuildInputs, lock: ImageLock, error: dagger.ExecError) -> PipelineError:
    if error.exit_code == DAMAGED:
        return PipelineError(
            Code.DOWNLOAD_FAILED,
            f"{inputs.image}: packages were fetched again, and the engine's cache does not keep them: "
            f"{reason_of(error)}; see that the engine's disk has room and no errors",
        )
    output = inputs.logins.hide(f"{error.stdout}\n{error.stderr}")
    return post_link.explain(inputs.image, output) or explain_install(
        inputs.image,
        inputs.spec.environment,
        error.exit_code,
        output,
        manifest=lock.manifest.file,
        known=inputs.logins.channels,
    )


def _with_environment(
    container: dagger.Container, inputs: BuildInputs, prefix: str, *, copied: bool
) -> dagger.Container:
    environment, settings = inputs.spec.environment, inputs.settings
    arguments = [prefix, ENTRYPOINT, LAYERS, _TOOLS, fetched_list(copied=copied), ARCHIVES, _UNPACKED]
    scripts = inputs.spec.post_link_scripts
    if scripts:
        # Files that the scripts leave there must not get into the image.
        container = container.with_mounted_temp("/tmp")  # noqa: S108  # of the container
    arguments += [str(settings.install_timeout), POST_LINK, "run" if scripts else "", "" if copied else WHEELS]
    return (
        container.with_mounted_directory(_TOOLS, _tools(settings.fetch_base))
        .with_mounted_directory(_MADE, dagger.dag.directory())
        .with_env_variable("PIXI_CACHE_DIR", _CACHE)
        .with_env_variable("RATTLER_CACHE_DIR", _CACHE)
        .with_exec(["sh", "-euc", WITHIN + KEEP + _INSTALL, "sh", *arguments, *selected(environment)])
    )


def _tools(address: str) -> dagger.Directory:
    package = importlib.resources.files("pipeline")
    tools = fetcher(address).rootfs()
    for name in ("__init__.py", "build/__init__.py", "scripts/__init__.py"):
        tools = tools.with_new_file(f"/pipeline/{name}", "")
    for name in _MODULES:
        tools = tools.with_new_file(f"/pipeline/{name}", package.joinpath(name).read_text(encoding="utf-8"))
    return tools
