"""What `pixi install` leaves: the packages of a lock in the environment's folder, and nothing else."""

import hashlib
import json
import re

import rattler

from . import VERSION, pypi_install
from .config import cache_folder, client, configuration
from .failures import PixiError, chain
from .lock import Lock, Packages
from .platforms import Platform, this_machine
from .specs import matched
from .workspace import Environment

#: Virtual packages that a machine is held against.
CHECKED = ("__glibc", "__musl", "__eglibc", "__cuda", "__osx", "__win", "__linux")


def check_machine(found: Packages, platform: Platform) -> None:
    """Check that this machine has what the locked packages need of it.

    Raises:
        PixiError: it lacks something.
    """
    machine = this_machine()
    for text in sorted({need for record in found.conda for need in record.depends if need.startswith("__")}):
        spec, name = rattler.MatchSpec(text), text.split()[0]
        if name not in CHECKED or (name in machine and matched(spec, name, machine[name], platform.subdir)):
            continue
        shown = ", ".join(f"{one}={version}=0" for one, version in machine.items())
        wanted = re.search(r"\d[\d.]*", text.removeprefix(name))
        mock = f"CONDA_OVERRIDE_{name.strip('_').upper()}={wanted[0].rstrip('.') if wanted else '1'}"
        raise PixiError(
            f"Virtual package '{spec}' does not match any of the available virtual packages on your machine: [{shown}]",
            remedy=f" You can mock the virtual package by overriding the environment variable, e.g.: '`{mock}`'",
        )


async def install(environment: Environment, platform: Platform, lock: Lock) -> None:
    """Make an environment what its lock says.

    Raises:
        PixiError: a package cannot be fetched, or this machine cannot run it.
    """
    found = lock.packages(environment.name, platform) or Packages([], [], [])
    if found.sources:
        raise PixiError(f"failed to build source package '{found.sources[0]}'", "no build backend can be fetched")
    check_machine(found, platform)
    prefix, root = environment.prefix, environment.workspace.root
    (root / ".pixi").mkdir(exist_ok=True)
    for name, text in ((".gitignore", "*\n!config.toml\n"), (".condapackageignore", ".pixi\n!.pixi/config.toml\n")):
        if not (root / ".pixi" / name).exists():
            (root / ".pixi" / name).write_text(text)
    settings = configuration()
    try:
        await rattler.install(
            records=found.conda,
            target_prefix=prefix,
            cache_dir=cache_folder() / "pkgs",
            platform=rattler.Subdir(platform.subdir),
            execute_link_scripts=settings.run_post_link_scripts == "insecure",
            show_progress=False,
            client=client(),
        )
    except Exception as error:
        # py-rattler's classes of errors are many.
        raise PixiError(*chain(str(error))) from error
    pypi_install.install(environment, platform, found.pypi)
    meta = prefix / "conda-meta"
    meta.mkdir(parents=True, exist_ok=True)
    (meta / "history").write_text("// not relevant for pixi but for `conda run -p`")
    (meta / "pixi_env_prefix").write_text(str(meta))
    (meta / "pixi").write_text(json.dumps(_marker(environment, platform, fingerprint(lock.text)), indent=2))
    (meta / ".pixi-environment-fingerprint").write_text(fingerprint(*(record.url for record in found.conda)))


def fingerprint(*texts: str) -> str:
    """A short hash."""
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


def is_installed(environment: Environment, lock: Lock) -> bool:
    """Whether an environment was installed from the very lock: then only `pixi install` looks at it again."""
    marker = environment.prefix / "conda-meta" / "pixi"
    if not marker.is_file():
        return False
    return bool(json.loads(marker.read_text())["environment_lock_file_hash"] == fingerprint(lock.text))


def _marker(environment: Environment, platform: Platform, locked: str) -> dict[str, object]:
    return {
        "manifest_path": str(environment.workspace.manifest),
        "environment_name": environment.name,
        "pixi_version": VERSION,
        "environment_lock_file_hash": locked,
        "resolved_platform": {
            "subdir": platform.subdir,
            "virtual_packages": [f"{name}={version}" for name, version in platform.virtual_packages.items()],
        },
        "minimum_supported_platform": {"subdir": platform.subdir},
    }
