"""Make an installed environment the same bytes wherever it was installed, and divide it into the layers of an image.

Usage: divide.py PREFIX ENTRYPOINT LAYERS. Every file, link and folder below PREFIX gets one time, and is opened to all
users. LAYERS is written: a JSON object with the paths below PREFIX of each layer's files and empty folders, by the
layer's name. Layers are in the order of their names.

Runs in a Python other than the environment's, which may have none.
"""

import csv
import io
import json
import os
import re
import stat
import sys
from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any

from pipeline.build.layer_plan import REST, Layer, Package, divide
from pipeline.scripts.folders import real_paths, wheels

#: The time that all files get, 2 January 1980 in UTC: the first one that archives in the ZIP format know everywhere.
TIME = 315_619_200
#: What conda's records call a file that was copied into its place.
COPIED = 3
#: What pixi calls a file that another package has at the same path: after this stands its own package.
MOVED = "__clobber-from-"

#: Parts of a shell script, each of one kind: text in quotes, an escaped character, a comment, anything else in a line.
SHELL = re.compile(
    r"""'[^']*' | "(?:\\.|[^"\\])*" | \\. | (?<![^\s;&|()])\#[^\n]* | \# | [^'"\\\#\n]+ | \n""", re.DOTALL | re.VERBOSE
)
#: Named after its module and its Python, as in module.cpython-313t.opt-1.pyc.
BYTE_CODE = re.compile(r"(?:(.*)/)?__pycache__/([^/]*?)\.[a-z]+-?\d+t?(?:\.opt-\d)?\.pyc")


def order_exports(script: str) -> str:
    """A shell script with its lines that set variables to plain values in one order; pixi 0.15 writes them in any."""
    ordered: list[str] = []
    run: list[str] = []
    for command in commands(script):
        if command.startswith("export ") and "$" not in command and "`" not in command:
            run.append(command)
        else:
            ordered += [*_by_name(run), command]
            run = []
    return "\n".join([*ordered, *_by_name(run)])


def _by_name(exports: Iterable[str]) -> list[str]:
    """Commands that set variables, by these alone: of two values that one variable gets, the last one holds."""
    return sorted(exports, key=lambda export: export.split("=")[0])


def commands(script: str) -> list[str]:
    """The commands of a shell script: most are a line each, but text in quotes may go on in the next lines.

    A script with a quote that nothing ends is one command.
    """
    found = [""]
    end = 0
    for part in SHELL.finditer(script):
        if part.start() != end:
            break
        if part[0] == "\n":
            found.append("")
        else:
            found[-1] += part[0]
        end = part.end()
    return found if end == len(script) else [script]


def plain_record(text: str) -> str:
    """A conda package's record without what depends on the machine or on chance.

    That is the order of its files, how they were linked, and whether a file that another package has at the same path
    is said to have been there: for packages of no platform, that is as they were installed at once.
    """
    record: dict[str, Any] = json.loads(text)
    before = json.dumps(record)
    if record.get("link"):
        record["link"]["type"] = COPIED
    record.get("files", []).sort()
    if paths := (record.get("paths_data") or {}).get("paths"):
        paths[:] = sorted((_with_origin(path, record["name"]) for path in paths), key=lambda path: path["_path"])
    return text if json.dumps(record) == before else json.dumps(record, indent=2, ensure_ascii=False)


def _with_origin(path: dict[str, Any], package: str) -> dict[str, Any]:
    """A path of a record; where another package has the place that it should be at, with that place."""
    name = path["_path"]
    if not name.endswith(f"{MOVED}{package}"):
        return path
    # In the order that pixi writes.
    return {"_path": name, "original_path": name.removesuffix(f"{MOVED}{package}")} | path


def plain_rows(text: str) -> list[list[str]]:
    """The rows of a wheel's RECORD, sorted; without byte code, and without the installer's notes about its cache."""
    rows = [row for row in csv.reader(io.StringIO(text)) if row]
    return sorted(row for row in rows if not row[0].endswith((".pyc", ".dist-info/uv_cache.json")))


def conda_packages(prefix: Path) -> list[Package]:
    """The conda packages of an environment, from their records, which are written anew where they are not plain."""
    found = []
    for path in sorted(prefix.glob("conda-meta/*.json")):
        text = path.read_text(encoding="utf-8")
        if (plain := plain_record(text)) != text:
            path.write_text(plain, encoding="utf-8")
        record = json.loads(plain)
        files = (f"conda-meta/{path.name}", *record["files"])
        found.append(Package(record["name"], record.get("size") or size(prefix, files), files))
    return found


def pypi_packages(prefix: Path, owned: Iterable[str]) -> list[Package]:
    """The PyPI packages of an environment, from their RECORDs: conda's packages have some too, which are owned."""
    found = []
    for path in wheels(prefix, "RECORD", owned):
        rows = plain_rows(path.read_text(encoding="utf-8"))
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)
        path.with_name("uv_cache.json").unlink(missing_ok=True)
        site = path.parent.parent.relative_to(prefix)
        files = tuple(os.path.normpath(site / row[0]) for row in rows)
        # A wheel's own size is not known here; its name may be that of a conda package.
        found.append(Package(f"pypi-{path.parent.name.split('-')[0].lower()}", size(prefix, files), files))
    return found


def size(prefix: Path, files: Iterable[str]) -> int:
    """The bytes of the files that are there."""
    return sum(path.lstat().st_size for path in map(prefix.joinpath, files) if os.path.lexists(path))


def with_real_paths(prefix: Path, packages: Iterable[Package], files: Container[str]) -> list[Package]:
    """The packages, with the paths by which their files were found: their lists may name some through links."""
    found = []
    for package in packages:
        known = [path for path in package.files if path in files]
        others = real_paths(prefix, (path for path in package.files if path not in files))
        found.append(Package(package.name, package.size, (*known, *others)))
    return found


def with_byte_code(packages: Iterable[Package], files: Iterable[str]) -> list[Package]:
    """The packages, each with the byte code of its modules: that is often made after the packages' lists were."""
    made: dict[str, list[str]] = {}
    for path in files:
        if match := BYTE_CODE.fullmatch(path):
            made.setdefault("/".join(filter(None, (match[1], f"{match[2]}.py"))), []).append(path)
    found = []
    for package in packages:
        code = [path for module in package.files for path in made.get(module, ())]
        found.append(Package(package.name, package.size, (*package.files, *code)))
    return found


def settle(prefix: Path) -> tuple[dict[str, int], list[str]]:
    """Open an environment to all users, and give all of it one time.

    Returns:
        All files with their bytes, and the empty folders.
    """
    files: dict[str, int] = {}
    empty = []
    before = len(f"{prefix}/")
    for folder, folders, names in os.walk(str(prefix), topdown=False):
        for name in [*names, *folders]:
            path = f"{folder}/{name}"
            found = os.lstat(path)
            if stat.S_ISDIR(found.st_mode):
                continue
            if not stat.S_ISLNK(found.st_mode):
                open_up(path, found.st_mode)
            os.utime(path, (TIME, TIME), follow_symlinks=False)
            files[path[before:]] = found.st_size
        if not names and not folders:
            empty.append(folder[before:])
        open_up(folder, os.stat(folder).st_mode)
        os.utime(folder, (TIME, TIME))
    return files, empty


def open_up(path: str, mode: int) -> None:
    """Let all users use a file or folder, and only its owner change it."""
    if opened(mode) != stat.S_IMODE(mode):
        os.chmod(path, opened(mode))


def opened(mode: int) -> int:
    """A mode with which all users may read and enter, or run what anybody may, and only the owner may write."""
    run = 0o111 if stat.S_ISDIR(mode) or mode & 0o111 else 0
    return (stat.S_IMODE(mode) | 0o444 | run) & ~0o022


def contents(layers: Iterable[Layer], empty: Iterable[str]) -> dict[str, list[str]]:
    """What each layer has; empty folders are in the one of files that belong to no package, which is always there."""
    found = {REST: [], **{layer.name: list(layer.files) for layer in layers}}
    found[REST] = sorted([*found[REST], *empty])
    return dict(sorted(found.items()))


def main(prefix: Path, entrypoint: Path, target: Path) -> None:
    """Run as a command; see the module's docstring."""
    # As bytes: values may have line ends of other systems, or be text in another encoding.
    script = entrypoint.read_bytes().decode(errors="surrogateescape")
    entrypoint.write_bytes(order_exports(script).encode(errors="surrogateescape"))
    conda = conda_packages(prefix)
    packages = conda + pypi_packages(prefix, (path for package in conda for path in package.files))
    files, empty = settle(prefix)
    layers = divide(with_byte_code(with_real_paths(prefix, packages, files), files), files)
    target.write_text(json.dumps(contents(layers, empty)), encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
