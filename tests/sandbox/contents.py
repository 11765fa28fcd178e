"""Content of the running machine: images in the registries, and a lock for each image's sandbox manifest."""

import json
import shutil
import tempfile
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tests.sandbox import cache, stored
from tests.sandbox.errors import SandboxError, TookTooLongError
from tests.sandbox.hosts import CHANNEL, parse_reference
from tests.sandbox.kept import TEMPORARY
from tests.sandbox.machine import Machine
from tests.sandbox.parts import Parts

#: One folder an image, each with the ``pixi.toml`` that is used in the sandbox instead of the real one.
OVERLAY: Final = Path(__file__).with_name("overlay")
CHECKOUT: Final = Path(__file__).resolve().parents[2]
#: A solve takes less than a second.
SOLVE_PATIENCE: Final = 30
SOLVE_TRIES: Final = 5


def push_images(machine: Machine, parts: Parts, say: Callable[[str], None]) -> None:
    """Push the images that the registries do not hold yet, or hold something else for.

    Raises:
        SandboxError: one cannot be pushed; names the log.
    """
    for image in parts.images:
        reference, layout = image.reference, image.layout
        wrong = stored.wrong_files(machine.state, reference, layout)
        if not wrong:
            continue
        for file in wrong:  # the registry would keep what is there
            file.unlink(missing_ok=True)
        say(f"images: pushing {reference} …")
        host, repository, tag = parse_reference(reference)
        target = "docker.io" if host == "registry-1.docker.io" else host
        # A colon in a layout's path would be taken for a tag.
        link = machine.state.run / "layout"
        link.unlink(missing_ok=True)
        link.symlink_to(layout)
        machine.run(
            [
                "skopeo",
                "copy",
                "--quiet",
                "--preserve-digests",
                f"--dest-authfile={machine.state.secrets / 'auth.json'}",
                f"oci:{link}",
                f"docker://{target}/{repository}:{tag}",
            ],
            machine.state.log / "images.log",
        )
        if stored.wrong_files(machine.state, reference, layout):
            raise SandboxError(f"{reference} was pushed and is not whole in its registry; run ./dev down --delete.")


def make_locks(machine: Machine, parts: Parts, say: Callable[[str], None]) -> dict[Path, Path]:
    """Let the real pixi solve each sandbox manifest against the sandbox's channel.

    Returns:
        What is used instead of what: the path below the checkout (``ml_platform/pixi.lock``) -> a file of the state.

    Raises:
        SandboxError: pixi cannot solve it; names its log.
    """
    instead: dict[Path, Path] = {}
    for manifest in sorted(OVERLAY.glob("*/pixi.toml")):
        image = manifest.parent.name
        for source in (manifest, _make_lock(machine, parts, manifest, say)):
            target = machine.state.overlay / image / source.name
            # Tests that run now have the old one mounted: it is written to only for a reason.
            if not target.exists() or target.read_bytes() != source.read_bytes():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)
            instead[Path(image) / source.name] = target
    for lock in (*CHECKOUT.glob("*/base.lock"), *CHECKOUT.glob("tools.lock")):
        target = machine.state.overlay / lock.relative_to(CHECKOUT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(own_digests(lock.read_text(), _digests(parts)))
        instead[lock.relative_to(CHECKOUT)] = target
    return instead


def own_digests(text: str, digests: Mapping[str, str]) -> str:
    """A base.lock or tools.lock of the checkout with the digests of the sandbox's images, which are not the real ones.

    Args:
        text: the real one.
        digests: of the sandbox's images, by reference.
    """
    lines = (f'"{name}" = "{digests.get(name, real)}"\n' for name, real in tomllib.loads(text)["digests"].items())
    return "[digests]\n" + "".join(lines)


def _digests(parts: Parts) -> dict[str, str]:
    return {
        image.reference: json.loads((image.layout / "index.json").read_text())["manifests"][0]["digest"]
        for image in parts.images
    }


def _make_lock(machine: Machine, parts: Parts, manifest: Path, say: Callable[[str], None]) -> Path:
    image = manifest.parent.name

    def make(part: Path) -> None:
        log = machine.state.log / f"lock-{image}.log"
        log.unlink(missing_ok=True)
        requirements = tomllib.loads(manifest.read_text())
        with tempfile.TemporaryDirectory(prefix=f"{TEMPORARY}-", dir=machine.state.folder) as temporary:
            folder = Path(temporary)
            shutil.copy(manifest, folder)
            # A lock holds all environments, but pixi lists one; it does not know the default one by its name.
            environments = list(requirements.get("environments", {}))
            command = [
                str(parts.pixi / "bin" / "pixi"),
                "list",
                "--no-install",
                f"--manifest-path={folder / 'pixi.toml'}",
                *(f"--environment={name}" for name in environments[:1]),
            ]
            environment = {
                "PIXI_HOME": str(folder / "home"),
                "PIXI_CACHE_DIR": str(folder / "cache"),
                "CONDA_OVERRIDE_CUDA": cuda_version(requirements),
                "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
            }
            _run_patiently(machine, command, log, environment, say)
            shutil.copy(folder / "pixi.lock", part)

    repodata = sorted(parts.channel.glob("*/repodata.json"))
    return (
        cache.ensure(f"lock-{image}", [CHANNEL, manifest, parts.pixi.parent.name, *repodata], make, say=say)
        / "pixi.lock"
    )


def _run_patiently(
    machine: Machine, command: list[str], log: Path, environment: dict[str, str], say: Callable[[str], None]
) -> None:
    """Run pixi, again where it hangs: once in a while 0.15.2 waits forever for index files that it has long read."""
    for tries_left in reversed(range(SOLVE_TRIES)):
        try:
            machine.run(command, log, environment, patience=SOLVE_PATIENCE)
        except TookTooLongError:
            if not tries_left:
                raise
            say(f"lock: pixi did not end in {SOLVE_PATIENCE} s; starting it again …")
        else:
            return


def cuda_version(manifest: dict[str, object]) -> str:
    """The highest CUDA version that a manifest asks the system for; a recent one when it asks for none."""
    found = ["12.8"]
    features = manifest.get("feature", {})
    tables = [manifest, *(features.values() if isinstance(features, dict) else ())]
    needs = [table.get("system-requirements") for table in tables if isinstance(table, dict)]
    found += [str(need["cuda"]) for need in needs if isinstance(need, dict) and "cuda" in need]
    return max(found, key=lambda version: [int(number) for number in version.split(".")])
