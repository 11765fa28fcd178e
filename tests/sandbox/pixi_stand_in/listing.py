"""What `pixi list` prints of the packages that are locked."""

import json
import re
from pathlib import Path
from typing import Any

import rattler
from packaging.utils import canonicalize_name

from .lock import FORMAT, INDEX, Packages, indexes_of, version_of
from .platforms import Platform, Table
from .workspace import Environment

#: Fields in the order of pixi's JSON, with what they are where nothing is known.
EMPTY: dict[str, Any] = {
    "name": None,
    "version": None,
    "build": None,
    "build_number": None,
    "size_bytes": None,
    "kind": None,
    "source": None,
    "license": None,
    "license_family": None,
    "is_explicit": False,
    "md5": None,
    "sha256": None,
    "arch": None,
    "platform": None,
    "subdir": None,
    "timestamp": None,
    "noarch": None,
    "file_name": None,
    "url": None,
    "index_url": None,
    "requested_spec": None,
    "constrains": [],
    "depends": [],
    "track_features": [],
    "run_exports": None,
}
SAME = ("version", "build", "build_number", "license", "license_family", "md5", "sha256", "arch", "platform", "subdir")


def described(environment: Environment, platform: Platform, found: Packages, lock_format: int) -> list[dict[str, Any]]:
    """The packages of an environment, sorted by name, each with all that pixi says of one."""
    specs = {name: ", ".join(map(conda_spec, wanted)) for name, wanted in environment.requests(platform).items()}
    specs |= {name.replace("-", "_"): pypi_spec(wanted[0]) for name, wanted in environment.pypi(platform).items()}
    index = next(iter(indexes_of(environment))) if lock_format == FORMAT else None
    lines = [_conda(record) for record in found.conda]
    lines += [_pypi(package, environment.workspace.root, index) for package in found.pypi]
    for line in lines:
        spec = specs.get(line["name"])
        line |= {"is_explicit": spec is not None, "requested_spec": spec}
    lines += [EMPTY | {"name": name, "kind": "conda"} for name in found.sources]
    return sorted(lines, key=lambda line: line["name"])


def selected(lines: list[dict[str, Any]], regex: str | None, *, explicit: bool) -> list[dict[str, Any]]:
    """Those packages whose names fit, and that the manifest names where only these are asked for."""
    return [line for line in lines if re.search(regex or "", line["name"]) and (line["is_explicit"] or not explicit)]


def conda_spec(asked: Table) -> str:
    """What a manifest asks for of a conda package, as pixi shows it."""
    version = re.sub(r"\s+", "", asked.get("version", "*"))
    if set(asked) <= {"version"}:
        return version
    keys = ("version", "build", "build-number", "channel", "subdir", "path", "git", "url")
    return " ".join(f"{key}={version if key == 'version' else asked[key]}" for key in keys if key in asked)


def pypi_spec(asked: Table) -> str:
    """What a manifest asks for of a PyPI package, as pixi shows it: a value of TOML."""
    values = {key: value for key, value in asked.items() if value != []}
    if "version" in values:
        values["version"] = ", ".join(part.strip() for part in values["version"].split(","))
    if set(values) <= {"version"}:
        return json.dumps(values.get("version", "*"))
    return f"{{ {', '.join(f'{key} = {json.dumps(value)}' for key, value in values.items())} }}"


def _conda(record: rattler.RepoDataRecord) -> dict[str, Any]:
    said = json.loads(record.to_json())
    line = EMPTY | {key: said.get(key) for key in SAME} | {"name": record.name.normalized, "kind": "conda"}
    lists = {key: said.get(key, []) for key in ("constrains", "depends")}
    features = said.get("track_features") or []
    return (
        line
        | lists
        | {
            "size_bytes": said.get("size"),
            "source": (record.channel or "").rstrip("/") or None,
            "run_exports": said.get("run_exports") or None,
            "timestamp": said.get("timestamp"),
            "noarch": said.get("noarch"),
            "file_name": record.file_name,
            "url": record.url,
            "track_features": features.split() if isinstance(features, str) else features,
        }
    )


def _pypi(package: rattler.PypiLockedPackage, root: Path, index: str | None) -> dict[str, Any]:
    location = package.location
    local = "://" not in location
    # A registry's file, be it a wheel or not: what is given by its address alone has another scheme.
    is_registry = location.startswith(("https://", "http://") if index is None else ("https://", "http://", "git+"))
    try:
        hashes = package.hashes
        sha256, md5 = (hashes.sha256, hashes.md5) if hashes else (None, None)
    except AttributeError:  # what py-rattler raises where there are none
        sha256 = md5 = None
    path = root / location
    return EMPTY | {
        "name": canonicalize_name(package.name).replace("-", "_"),
        "version": version_of(package) or None,
        "kind": "pypi",
        "source": (index or INDEX) if is_registry else location,
        "index_url": index if is_registry else None,
        "size_bytes": sum(one.stat().st_size for one in path.rglob("*") if one.is_file())
        if local and path.is_dir()
        else None,
        "md5": md5.hex() if md5 else None,
        "sha256": sha256.hex() if sha256 else None,
        "url": location,
        "depends": list(package.requires_dist),
    }


def table(lines: list[dict[str, Any]]) -> str:
    """Columns for a person."""
    rows = [["Name", "Version", "Build", "Size", "Kind", "Source"]]
    for line in lines:
        size = line["size_bytes"]
        shown = "" if size is None else f"{size / 1024:.2f} KiB" if size < 1 << 20 else f"{size / 2**20:.2f} MiB"
        rows.append(
            [str(line[key] or "") for key in ("name", "version", "build")]
            + [shown, line["kind"], str(line["source"] or "")]
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).strip() for row in rows
    )
