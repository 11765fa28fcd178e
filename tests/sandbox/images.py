"""The images that the sandbox's registries hold from the start: what people's Dockerfiles and modules build on."""

import importlib.metadata
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.sandbox import cache, current_pixi, debian, oci

SYSTEM_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CUDA: Final = {
    "PATH": f"/usr/local/nvidia/bin:/usr/local/cuda/bin:{SYSTEM_PATH}",
    "CUDA_VERSION": "13.0.0",
    "NVIDIA_VISIBLE_DEVICES": "all",
    "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
}
SHELL: Final = oci.Settings({"PATH": SYSTEM_PATH}, ["/bin/bash"])
CUDA_SHELL: Final = oci.Settings(CUDA, ["/bin/bash"])
PYTHON: Final = oci.Settings({"PATH": SYSTEM_PATH, "LANG": "C.UTF-8"}, ["python3"])
REGCTL: Final = oci.Settings({"PATH": SYSTEM_PATH}, entrypoint=["/regctl"], user="appuser")
COSIGN: Final = oci.Settings(
    {"PATH": f"{SYSTEM_PATH}:/ko-app", "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt"},
    entrypoint=["/ko-app/cosign"],
    user="65532",
)
#: It has no variables: its project makes it without a base image.
APPTAINER: Final = oci.Settings(command=["/usr/bin/apptainer"])

#: Each image: its layers, the lowest first, and its settings.
IMAGES: Final = {
    "ghcr.io/prefix-dev/pixi:noble": (("trixie", "pixi"), SHELL),
    "ghcr.io/prefix-dev/pixi:noble-cuda-13.0.0": (("trixie", "pixi"), CUDA_SHELL),
    f"ghcr.io/prefix-dev/pixi:{current_pixi.VERSION}-noble": (("trixie", "current-pixi"), SHELL),
    f"ghcr.io/prefix-dev/pixi:{current_pixi.VERSION}-noble-cuda-13.0.0": (("trixie", "current-pixi"), CUDA_SHELL),
    "docker.io/library/debian:bookworm-slim": (("bookworm",), SHELL),
    "docker.io/library/python:3.12-slim": (("bookworm", "python"), PYTHON),
    "docker.io/library/python:3.13-slim": (("trixie-python",), PYTHON),
    "ghcr.io/regclient/regctl:v0.11.7": (("regctl",), REGCTL),
    "ghcr.io/sigstore/cosign/cosign:v3.1.3": (("cosign",), COSIGN),
    "ghcr.io/apptainer/apptainer:1.4.5": (("sid-apptainer",), APPTAINER),
}

PIP_SCRIPT: Final = "#!/usr/local/bin/python3\nimport sys\nfrom pip._internal.cli.main import main\nsys.exit(main())\n"

APPTAINER_PACKAGES: Final = ("apptainer", "ca-certificates", "squashfs-tools")
PYTHON_PACKAGES: Final = ("ca-certificates", "python3", "python3-venv")
#: Debian's own Python, where that of python.org would be, and willing to have packages installed.
PYTHON_HOOK: Final = (
    'rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED'
    ' && ln -s /usr/bin/python3 "$1/usr/local/bin/python"'
    ' && ln -s /usr/bin/python3 "$1/usr/local/bin/python3"'
)


#: Images of one static program, with no Debian below: where the program is, its user, and the user's number.
PROGRAMS: Final = {"regctl": ("regctl", "appuser", 1000), "cosign": ("ko-app/cosign", "nonroot", 65532)}


@dataclass(frozen=True)
class Content:
    """What is put into images besides Debian's packages.

    Attributes:
        pixi: the program.
        current_pixi: the layer of a current pixi, which stands in for it or is the real one.
        python: a relocatable CPython 3.12, a folder with ``bin/`` and ``lib/``.
        regctl: the program, static.
        cosign: the program, static.
        bundle: certificates to trust.
    """

    pixi: Path
    current_pixi: Path
    python: Path
    regctl: Path
    cosign: Path
    bundle: Path


@dataclass(frozen=True)
class BaseImage:
    """An image to push to a registry.

    Attributes:
        reference: its full name, as people write it.
        layout: a folder with this one image as an OCI layout.
    """

    reference: str
    layout: Path


def base_images(content: Content, say: Callable[[str], None]) -> list[BaseImage]:
    """Make the base images that are missing.

    Args:
        content: what they are made from, besides Debian's packages.
        say: told what is being made.

    Raises:
        SandboxError: a Debian root file system cannot be made.
    """
    layers = root_layers(say)
    sources = [*vars(content).values(), Path(__file__), Path(oci.__file__)]
    made = cache.ensure(
        "images",
        [*map(debian.key, layers.values()), *sources, importlib.metadata.version("pip")],
        lambda part: _write(part, layers, content),
        say=say,
    )
    return [BaseImage(reference, made / _folder(reference)) for reference in IMAGES]


def root_layers(say: Callable[[str], None]) -> dict[str, Path]:
    """Make the Debian layers that are missing: they need nothing that is compiled, so others can wait for them.

    Raises:
        SandboxError: a Debian root file system cannot be made.
    """
    with ThreadPoolExecutor(2) as pool:
        roots = {
            "bookworm": pool.submit(debian.root_layer, "bookworm", ["ca-certificates"], say),
            "trixie": pool.submit(debian.root_layer, "trixie", ["ca-certificates"], say),
            "trixie-python": pool.submit(
                debian.root_layer, "trixie", PYTHON_PACKAGES, say, "trixie-python", PYTHON_HOOK
            ),
            "sid-apptainer": pool.submit(debian.root_layer, "sid", APPTAINER_PACKAGES, say, "sid-apptainer"),
        }
    return {name: root.result() for name, root in roots.items()}


def _write(part: Path, roots: dict[str, Path], content: Content) -> None:
    own = {name: part / f"{name}.tar.gz" for name in ("pixi", "python", *PROGRAMS)}
    oci.pack(own["pixi"], {"usr/local/bin/pixi": content.pixi})
    _pack_python(own["python"], content.python)
    for name in PROGRAMS:
        _pack_program(own[name], name, content)
    layers = roots | own | {"current-pixi": content.current_pixi}
    for reference, (names, settings) in IMAGES.items():
        oci.write_layout(part / _folder(reference), [layers[name] for name in names], settings)
    for layer in own.values():
        layer.unlink()


def _pack_python(target: Path, python: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        script = Path(folder) / "pip"
        script.write_text(PIP_SCRIPT)
        script.chmod(0o755)
        # What is in the tree, not its top folder: /usr/local stays Debian's.
        tree = {f"usr/local/{path.name}": path for path in python.iterdir()}
        tree |= {f"usr/local/lib/python3.12/site-packages/{path.name}": path for path in _pip_folders()}
        oci.pack(target, tree | {"usr/local/bin/pip": script}, lambda name: "__pycache__" not in name)


def _pack_program(target: Path, name: str, content: Content) -> None:
    place, user, number = PROGRAMS[name]
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        tree: dict[str, Path | None] = {place: getattr(content, name), f"home/{user}": None}
        texts = {
            "etc/passwd": f"{user}:x:{number}:{number}::/home/{user}:/sbin/nologin\n",
            "etc/group": f"{user}:x:{number}:\n",
            # With an empty line at the end, as in the other images: see debian.OPTIONS.
            "etc/ssl/certs/ca-certificates.crt": content.bundle.read_text() + "\n",
        }
        for path, text in texts.items():
            tree[path] = Path(folder) / Path(path).name
            (Path(folder) / Path(path).name).write_text(text)
        oci.pack(target, tree)


def _pip_folders() -> list[Path]:
    """pip as it is installed beside this program: the package and its metadata."""
    metadata = importlib.metadata.distribution("pip")
    return sorted(
        {
            Path(str(metadata.locate_file(file.parts[0])))
            for file in metadata.files or []
            if len(file.parts) > 1 and file.parts[0] != ".."
        }
    )


def _folder(reference: str) -> str:
    # Tools that read a layout take what follows a colon for a tag.
    return reference.replace(":", "/")
