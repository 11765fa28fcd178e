"""Ways to measure: on a disk that is at rest, in fresh containers, beside a module that does nothing."""

import json
import shutil
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.bench.builders import Pipeline, output
from tests.sandbox import cache

#: Python that measures how long another Python takes for a statement.
IMPORT: Final = """
import subprocess, sys, time
started = time.perf_counter()
subprocess.run([sys.executable, "-c", "{}"], check=True, stderr=subprocess.DEVNULL)
print(time.perf_counter() - started)
"""


def missing(blobs_: Mapping[str, int], there: Mapping[str, int]) -> int:
    """The bytes of the blobs that are not there yet."""
    return sum(size for name, size in blobs_.items() if name not in there)


def settled(measure: Callable[[], float]) -> float:
    """Measure when nothing is left to be written, and files are read from the disk for everybody."""
    subprocess.run(["sync"], check=True)
    Path("/proc/sys/vm/drop_caches").write_text("1")
    return measure()


@contextmanager
def peak_disk() -> Iterator[list[int]]:
    """The peak of additional bytes used on the cache's disk; the first entry of the list, at the end."""
    before = shutil.disk_usage(cache.root()).used
    found = [0]
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.1):
            found[0] = max(found[0], shutil.disk_usage(cache.root()).used - before)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield found
    finally:
        ended.set()
        watching.join()


def empty_module(pipeline: Pipeline, folder: Path) -> None:
    """Make a Dagger module in Python with one function that returns a word."""
    folder.mkdir()
    module = folder / "empty"
    module.mkdir()
    pinned = json.loads((Path(__file__).parents[2] / "dagger.json").read_text())
    says = {"name": "empty", "engineVersion": pinned["engineVersion"], "sdk": pinned["sdk"], "source": "."}
    (folder / "dagger.json").write_text(json.dumps(says))
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "empty"\nversion = "0"\nrequires-python = ">=3.12"\n'
        '[project.entry-points."dagger.mod"]\nmain_object = "empty:Empty"\n'
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
    )
    (module / "__init__.py").write_text(
        "from dagger import function, object_type\n\n\n@object_type\nclass Empty:\n"
        '    @function\n    def nothing(self) -> str:\n        return ""\n'
    )
    pipeline.call(folder, "functions")


def import_seconds(folder: Path, reference: str, python: str, statement: str) -> float:
    """The seconds that a statement takes in a new process of a new container."""
    command = ["dagger", "--progress=plain", "core", "container", "from", f"--address={reference}"]
    # Nothing is answered from the cache.
    variables = {"CODE": IMPORT.format(statement), "RUN": f'{python} -c "$CODE"', "ASKED": uuid.uuid4().hex}
    for name, value in variables.items():
        command += ["with-env-variable", f"--name={name}", f"--value={value}"]
    # The CLI reads an argument as a line of CSV: quotes have to come by another way.
    command += ["with-exec", "--args=sh", "--args=-c", "--args=eval $RUN", "stdout"]
    return float(output(command, folder))


def size(folder: Path) -> int:
    """The bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
