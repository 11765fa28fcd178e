"""Puts the channel together: each group of packages is kept on its own, so that a change makes only its group anew."""

import os
import re
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import rattler

from tests.sandbox import cache
from tests.sandbox.channel import awkward, bytecode, compiler, graphviz, index, interpreter, package, wheels

#: Writes packages into the `linux-64/` and `noarch/` of a folder.
type Fill = Callable[[Path], None]

_HERE: Final = Path(__file__).parent
#: A link to the folder of Python's modules that conda-forge's Python 3.10 to 3.12 has. It is of no use to anybody.
_LINK: Final = "lib/python3.1"
#: Wheels that are large enough to be made apart from the rest.
_LARGE: Final = ("tensorflow", "root")


def build(say: Callable[[str], None] = print) -> Path:
    """The channel: a folder with `linux-64/` and `noarch/`, each with packages, `repodata.json` and `.zst`.

    It is the cache's, shared by everything that runs: `index.clone` gives a copy that can be changed.

    Raises:
        SandboxError: something that it is made from is missing, or cannot be downloaded.
    """
    pins = wheels.read_lock()
    groups = {name: [pins[name]] for name in _LARGE}
    groups["wheels"] = [pin for name, pin in sorted(pins.items()) if name not in _LARGE]
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        # The longest first, for the shortest whole.
        making = [pool.submit(_wheel_group, name, groups[name], say) for name in ("wheels", *_LARGE)]
        making += [pool.submit(_python, say), pool.submit(_compiler, say), pool.submit(_awkward, say)]
        parts = [made.result() for made in making]

    def make(channel: Path) -> None:
        index.merge(parts, channel)
        for part in parts:
            for found in [*part.glob("*/*.conda"), *part.glob("*/*.tar.bz2")]:
                os.link(found, channel / found.relative_to(part))
        _write_metapackages(channel)
        graphviz.make(channel)
        index.refresh(channel)

    keys = [part.parent.name for part in parts]
    return cache.ensure("channel", [*keys, *_sources("assemble", "graphviz"), *_shared()], make, say=say)


def _shared() -> list[str | Path]:
    """What all packages are written and indexed with."""
    return [*_sources("package", "index"), rattler.__version__]


def _sources(*modules: str) -> list[str | Path]:
    return [_HERE / f"{module}.py" for module in modules]


def _wheel_group(name: str, pins: list[wheels.Pin], say: Callable[[str], None]) -> Path:
    # Of the interpreter the packages have byte code, which is the same for all builds of a version.
    version = interpreter.python_version(interpreter.find_python())
    inputs = [*(pin.text for pin in pins), version, *_sources("wheels", "names", "bytecode")]
    return _group(name, inputs, lambda channel: wheels.pack(pins, channel, say=say), say)


def _compiler(say: Callable[[str], None]) -> Path:
    return _group("compiler", _sources("compiler", "elf"), lambda channel: compiler.make(channel, say=say), say)


def _awkward(say: Callable[[str], None]) -> Path:
    return _group("awkward", _sources("awkward", "archive", "interpreter"), awkward.make, say)


def _python(say: Callable[[str], None]) -> Path:
    program = interpreter.find_python()
    version = interpreter.python_version(program)

    def make(channel: Path) -> None:
        with tempfile.TemporaryDirectory(dir=channel, prefix=".python-") as place:
            tree = Path(place)
            interpreter.copy_tree(program, tree, package.PREFIX)
            (tree / _LINK).symlink_to(Path(interpreter.STDLIB).name)
            package.settle_times(tree)
            bytecode.compile_modules(program, tree, tree / interpreter.STDLIB, unchecked=False)
            about = package.About("Python-2.0", "General purpose programming language", "https://www.python.org/")
            constrains = ["python_abi 3.12.* *_cp312"]
            package.write(channel, "python", version, "hpacked_0_cpython", tree, constrains=constrains, about=about)

    return _group("python", [*interpreter.inputs(program), _LINK], make, say)


def _group(name: str, inputs: list[str | Path], fill: Fill, say: Callable[[str], None]) -> Path:
    """A small channel with some of the packages, and their index."""

    def make(channel: Path) -> None:
        fill(channel)
        index.refresh(channel)

    return cache.ensure(f"channel-{name}", [*inputs, *_shared()], make, say=say)


def _write_metapackages(channel: Path) -> None:
    """Packages without files, which conda-forge's manifests name."""
    found = next((channel / "linux-64").glob("tensorflow-*.conda"))
    version, build = found.stem.split("-")[1:]
    number = build.rpartition("_")[2]
    cuda = re.match(r"cuda\d+", build)
    start = cuda[0] if cuda else "cpu"
    gpu = f"{start}h{package.file_hash(found)[:7]}_{number}"
    package.write(channel, "tensorflow-gpu", version, gpu, {}, depends=[f"tensorflow {version} {start}*_{number}"])
