"""What wheels are called in conda-forge, and what their metadata asks for in conda's words."""

from collections.abc import Iterable, Mapping
from typing import Final

from packaging.metadata import RawMetadata
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

#: Where conda-forge's name is not the wheel's: another word, or underscores.
CONDA_NAMES: Final = {
    "ipython-genutils": "ipython_genutils",
    "ipython-pygments-lexers": "ipython_pygments_lexers",
    "flatbuffers": "python-flatbuffers",
    "jupyter-client": "jupyter_client",
    "jupyter-core": "jupyter_core",
    "jupyter-events": "jupyter_events",
    "jupyter-server": "jupyter_server",
    "jupyter-server-terminals": "jupyter_server_terminals",
    "jupyterlab-pygments": "jupyterlab_pygments",
    "jupyterlab-server": "jupyterlab_server",
    "libclang": "python-clang",
    "ml-dtypes": "ml_dtypes",
    "notebook-shim": "notebook-shim",
    "opt-einsum": "opt_einsum",
    "prompt-toolkit": "prompt-toolkit",
    "pure-eval": "pure_eval",
    "rfc3339-validator": "rfc3339_validator",
    "stack-data": "stack_data",
    "typing-extensions": "typing_extensions",
    "tzdata": "python-tzdata",
    "xxhash": "python-xxhash",
}
#: The machine that markers are evaluated for, whatever this one is.
_ENVIRONMENT: Final = {
    "implementation_name": "cpython",
    "implementation_version": "3.12.0",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_release": "",
    "platform_system": "Linux",
    "platform_version": "",
    "python_full_version": "3.12.0",
    "python_version": "3.12",
    "sys_platform": "linux",
}


def conda_name(name: str) -> str:
    """The name of a wheel's package in conda-forge."""
    normal = canonicalize_name(name)
    return CONDA_NAMES.get(normal, normal)


def dependencies(metadata: RawMetadata, known: Mapping[str, RawMetadata]) -> list[str]:
    """A wheel's requirements on Linux and Python 3.12 as conda's specifications, sorted, one a package.

    Args:
        metadata: of the wheel.
        known: metadata by normal name, of all wheels whose extras may be asked for. conda has no extras: what a
            required extra brings becomes a requirement of the wheel that asks for it.
    """
    wanted: dict[str, set[str]] = {}
    queue = [(metadata, "")]
    while queue:
        owner, extra = queue.pop()
        for requirement in _requirements(owner, extra):
            name = canonicalize_name(requirement.name)
            wanted.setdefault(conda_name(name), set()).update(str(part) for part in requirement.specifier)
            if name in known and known[name] is not owner:
                queue += [(known[name], wished) for wished in requirement.extras]
    return [f"{name} {','.join(sorted(parts))}".strip() for name, parts in sorted(wanted.items())]


def _requirements(metadata: RawMetadata, extra: str) -> Iterable[Requirement]:
    """Those that hold without an extra, or those that one extra adds."""
    for requirement in map(Requirement, metadata.get("requires_dist", [])):
        marker = requirement.marker
        plain = marker is None or marker.evaluate({**_ENVIRONMENT, "extra": ""})
        if plain is not bool(extra) and (plain or (marker and marker.evaluate({**_ENVIRONMENT, "extra": extra}))):
            yield requirement


def entry_points(text: str) -> list[str]:
    """The scripts of an `entry_points.txt`, as link.json has them: "name = module:function"."""
    found, section = [], ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            section = line.strip("[]").strip()
        elif section in ("console_scripts", "gui_scripts") and "=" in line and not line.startswith(("#", ";")):
            name, _, target = line.partition("=")
            found.append(f"{name.strip()} = {target.partition('[')[0].strip()}")
    return sorted(found)
