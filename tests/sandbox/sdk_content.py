"""What the engine has built in: the images that it runs modules in Go and in Python with.

The engine looks for their blobs in ``/usr/local/share/dagger/content``, by the digests in its environment.
"""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uv

from tests.sandbox import cache, debian, oci, tools

ENGINE: Final = Path(__file__).with_name("engine")
PYTHON_SDK: Final = Path(__file__).with_name("python-sdk")

#: Folders of the Go tree that compiling a module never reads.
GO_LEFT_OUT: Final = frozenset({"api", "doc", "misc", "test", "src/cmd"})
GO_SETTINGS: Final = oci.Settings(
    {
        "PATH": "/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "GOPATH": "/go",
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-buildvcs=false",
    }
)


@dataclass(frozen=True)
class Sdk:
    """The built-in SDKs.

    Attributes:
        folder: ``blobs/sha256/`` with both images.
        go_digest: the manifest of the image that modules in Go are compiled in.
        python_digest: the manifest of the image whose files are the SDK for modules in Python.
    """

    folder: Path
    go_digest: str
    python_digest: str

    @property
    def environment(self) -> dict[str, str]:
        """What the engine's environment says about them."""
        return {
            "DAGGER_GO_SDK_MANIFEST_DIGEST": self.go_digest,
            "DAGGER_PYTHON_SDK_MANIFEST_DIGEST": self.python_digest,
        }


def sdk_content(codegen: Path, say: Callable[[str], None]) -> Sdk:
    """Make the built-in SDKs, where they are missing.

    Args:
        codegen: Dagger's code generator for Go, a program.
        say: told what is being made.

    Raises:
        SandboxError: there is no Go on this machine, or a Debian root file system cannot be made.
    """
    go = tools.require_go()
    root, version = _ask(go, "GOROOT"), _ask(go, "GOVERSION")
    uv_program = Path(uv.find_uv_bin())
    debian_layer = root_layer(say)

    def make(part: Path) -> None:
        go_layer, python_layer = part / "go.tar", part / "python.tar"
        # Not compressed: they stay on this machine, and the first call waits for their unpacking.
        oci.pack(
            go_layer,
            {
                "go/pkg/mod": None,
                "root/.cache/go-build": None,
                "usr/local/bin/codegen": codegen,
                "usr/local/go": Path(root),
            },
            keep_go,
        )
        oci.pack(
            python_layer,
            {
                "dist/uv": uv_program,
                "requirements.txt": PYTHON_SDK / "requirements.txt",
                "runtime": PYTHON_SDK / "runtime",
            },
        )
        (part / "go").write_text(oci.write_layout(part, [debian_layer, go_layer], GO_SETTINGS))
        (part / "python").write_text(oci.write_layout(part, [python_layer], oci.Settings()))
        go_layer.unlink()
        python_layer.unlink()

    sources: list[str | Path] = [codegen, uv_program, PYTHON_SDK, Path(__file__), Path(oci.__file__)]
    made = cache.ensure("sdk-content", [root, version, debian.key(debian_layer), *sources], make, say=say)
    return Sdk(made, (made / "go").read_text(), (made / "python").read_text())


def root_layer(say: Callable[[str], None]) -> Path:
    """What Go's image stands on; made where it is missing, and worth making before the code generator is there.

    Raises:
        SandboxError: a Debian root file system cannot be made.
    """
    return debian.root_layer("bookworm", ["ca-certificates", "git"], say, name="bookworm-git")


def keep_go(name: str) -> bool:
    """Whether a path of the Go image stays: no tests of Go itself, nothing but what compiling needs."""
    path = Path(name)
    if not path.is_relative_to("usr/local/go"):
        return True
    inside = path.relative_to("usr/local/go")
    return str(inside) not in GO_LEFT_OUT and path.name != "testdata" and not path.name.endswith("_test.go")


def _ask(go: str, variable: str) -> str:
    # Where the engine is compiled: a go.mod can ask for another Go than the one on PATH.
    done = subprocess.run([go, "env", variable], capture_output=True, text=True, check=True, cwd=ENGINE)
    return done.stdout.strip()
