"""Make the bytes of an installed environment reproducible, and divide it into the layers of an image.

Usage: divide.py PREFIX ENTRYPOINT LAYERS. Every file, link and folder below PREFIX gets one time, and is opened to all
users. The output file LAYERS gets a JSON object with the paths of each layer's files and empty folders, relative to
PREFIX, by the layer's name. Layers are in the order of their names.

Runs in a Python outside the environment, since that may have none.
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
from pipeline.scripts.folders import TIME, real_paths, wheels

#: Link type in conda's records for a copied file.
COPIED = 3
#: Part of the name that pixi gives a file whose path another package has, too; the file's own package follows it.
MOVED = "__clobber-from-"

#: Tokens of a shell script: quoted text, an escaped character, a comment, any other text of a line, a line end.
SHELL = re.compile(
    r"""'[^']*' | "(?:\\.|[^"\\])*" | \\. | (?<![^\s;&|()])\#[^\n]* | \# | [^'"\\\#\n]+ | \n""", re.DOTALL | re.VERBOSE
)
#: Name of byte code, with its module and its Python, as in module.cpython-313t.opt-1.pyc.
BYTE_CODE = re.compile(r"(?:(.*)/)?__pycache__/([^/]*?)\.[a-z]+-?\d+t?(?:\.opt-\d)?\.pyc")


def order_exports(script: str) -> str:
    """Sort the lines of a shell script that set variables to plain values; pixi 0.15 writes them in random order."""
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
    """Sort export commands by variable only: the last of two values of one variable must stay last."""
    return sorted(exports, key=lambda export: export.split("=")[0])


def commands(script: str) -> list[str]:
    """Split a shell script into commands: a line each, or several where quoted text has line ends.

    A script with an unclosed quote is one command.
    """
    result = [""]
    end = 0
    for part in SHELL.finditer(script):
        if part.start() != end:
            break
        if part[0] == "\n":
            result.append("")
        else:
            result[-1] += part[0]
        end = part.end()
    return result if end == len(script) else [script]


def plain_record(text: str) -> str:
    """Return a conda package's record without data that depends on the machine or on chance.

    Such data are the order of its files, the link type, and the original path of a file whose path another package has,
    too: for noarch packages, pixi writes that path only in some installations.
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
    """Return a path of a record, with its original path where pixi renamed it."""
    name = path["_path"]
    if not name.endswith(f"{MOVED}{package}"):
        return path
    # pixi's own order of keys.
    return {"_path": name, "original_path": name.removesuffix(f"{MOVED}{package}")} | path


def plain_rows(text: str) -> list[list[str]]:
    """Return the rows of a wheel's RECORD, sorted, without byte code and the installer's cache file."""
    rows = [row for row in csv.reader(io.StringIO(text)) if row]
    return sorted(row for row in rows if not row[0].endswith((".pyc", ".dist-info/uv_cache.json")))


def conda_packages(prefix: Path) -> list[Package]:
    """Read the conda packages of an environment from their records, and rewrite records that are not reproducible."""
    packages = []
    for path in sorted(prefix.glob("conda-meta/*.json")):
        text = path.read_text(encoding="utf-8")
        if (plain := plain_record(text)) != text:
            path.write_text(plain, encoding="utf-8")
        record = json.loads(plain)
        files = (f"conda-meta/{path.name}", *record["files"])
        packages.append(Package(record["name"], record.get("size") or size(prefix, files), files))
    return packages


def pypi_packages(prefix: Path, owned: Iterable[str]) -> list[Package]:
    """Read the PyPI packages of an environment from their RECORDs, and make these reproducible.

    Args:
        prefix: path of the environment.
        owned: files of conda packages, whose RECORDs are left out.
    """
    packages = []
    for path in wheels(prefix, "RECORD", owned):
        rows = plain_rows(path.read_text(encoding="utf-8"))
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)
        path.with_name("uv_cache.json").unlink(missing_ok=True)
        site = path.parent.parent.relative_to(prefix)
        files = tuple(os.path.normpath(site / row[0]) for row in rows)
        # The size of the wheel is unknown here. Without the prefix, the name could be that of a conda package.
        packages.append(Package(f"pypi-{path.parent.name.split('-')[0].lower()}", size(prefix, files), files))
    return packages


def size(prefix: Path, files: Iterable[str]) -> int:
    """Return the bytes of the files that exist."""
    return sum(path.lstat().st_size for path in map(prefix.joinpath, files) if os.path.lexists(path))


def with_real_paths(prefix: Path, packages: Iterable[Package], files: Container[str]) -> list[Package]:
    """Return the packages with the real paths of their files: their lists may have paths through links."""
    result = []
    for package in packages:
        known = [path for path in package.files if path in files]
        others = real_paths(prefix, (path for path in package.files if path not in files))
        result.append(Package(package.name, package.size, (*known, *others)))
    return result


def with_byte_code(packages: Iterable[Package], files: Iterable[str]) -> list[Package]:
    """Return the packages, each with the byte code of its modules, which their lists mostly do not have."""
    made: dict[str, list[str]] = {}
    for path in files:
        if match := BYTE_CODE.fullmatch(path):
            made.setdefault("/".join(filter(None, (match[1], f"{match[2]}.py"))), []).append(path)
    result = []
    for package in packages:
        code = [path for module in package.files for path in made.get(module, ())]
        result.append(Package(package.name, package.size, (*package.files, *code)))
    return result


def settle(prefix: Path) -> tuple[dict[str, int], list[str]]:
    """Open an environment to all users, and give all its files and folders one time.

    Returns:
        All files with their bytes, and the empty folders.
    """
    files: dict[str, int] = {}
    empty = []
    before = len(f"{prefix}/")
    for folder, folders, names in os.walk(str(prefix), topdown=False):
        for name in [*names, *folders]:
            path = f"{folder}/{name}"
            status = os.lstat(path)
            if stat.S_ISDIR(status.st_mode):
                continue
            if not stat.S_ISLNK(status.st_mode):
                open_up(path, status.st_mode)
            os.utime(path, (TIME, TIME), follow_symlinks=False)
            files[path[before:]] = status.st_size
        if not names and not folders:
            empty.append(folder[before:])
        open_up(folder, os.stat(folder).st_mode)
        os.utime(folder, (TIME, TIME))
    return files, empty


def open_up(path: str, mode: int) -> None:
    """Let all users read and run a file or folder, and only its owner change it."""
    if opened(mode) != stat.S_IMODE(mode):
        os.chmod(path, opened(mode))


def opened(mode: int) -> int:
    """Return a mode with which only the owner may write, and all users may read, and run or enter where anyone may.

    The owner may write to every folder: whoever unpacks an image as an ordinary user could not remove it otherwise.
    """
    folder = stat.S_ISDIR(mode)
    run = 0o111 if folder or mode & 0o111 else 0
    return (stat.S_IMODE(mode) | 0o444 | run | (0o200 if folder else 0)) & ~0o022


def contents(layers: Iterable[Layer], empty: Iterable[str]) -> dict[str, list[str]]:
    """Return the paths of each layer; empty folders are in the layer ``REST``, which always exists."""
    paths = {REST: [], **{layer.name: list(layer.files) for layer in layers}}
    paths[REST] = sorted([*paths[REST], *empty])
    return dict(sorted(paths.items()))


def main(prefix: Path, entrypoint: Path, target: Path) -> None:
    """Run as a command; see the module's docstring."""
    # As bytes: values may have line ends of other systems, or another encoding.
    script = entrypoint.read_bytes().decode(errors="surrogateescape")
    entrypoint.write_bytes(order_exports(script).encode(errors="surrogateescape"))
    conda = conda_packages(prefix)
    packages = conda + pypi_packages(prefix, (path for package in conda for path in package.files))
    files, empty = settle(prefix)
    layers = divide(with_byte_code(with_real_paths(prefix, packages, files), files), files)
    target.write_text(json.dumps(contents(layers, empty)), encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
