"""Programs in Go besides Dagger: each compiled when it is asked for, from pinned modules."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.sandbox import cache, tools

#: Go modules that name them as tools, with the hashes of all that they are made from. The large ones have one each, so
#: that each has the dependencies that it was released with.
SOURCE: Final = Path(__file__).with_name("programs")
PACKAGES: Final = {
    "actionlint": (SOURCE, "github.com/rhysd/actionlint/cmd/actionlint"),
    "buildctl": (SOURCE / "buildkit", "github.com/moby/buildkit/cmd/buildctl"),
    "buildkitd": (SOURCE / "buildkit", "github.com/moby/buildkit/cmd/buildkitd"),
    "cosign": (SOURCE / "cosign", "github.com/sigstore/cosign/v3/cmd/cosign"),
    "fulcio": (SOURCE / "sigstore", "github.com/sigstore/fulcio"),
    "olareg": (SOURCE, "github.com/olareg/olareg/cmd/olareg"),
    "regctl": (SOURCE, "github.com/regclient/regclient/cmd/regctl"),
    "rekor": (SOURCE / "sigstore", "github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix"),
    "tesseract": (SOURCE / "sigstore", "github.com/transparency-dev/tesseract/cmd/tesseract/posix"),
    "timestamp-server": (SOURCE / "sigstore", "github.com/sigstore/timestamp-authority/v2/cmd/timestamp-server"),
    "toxiproxy": (SOURCE, "github.com/Shopify/toxiproxy/v2/cmd/server"),
}
FLAGS: Final = ("-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags=-s -w")
#: Static programs, which run in images without anything else.
ENVIRONMENT: Final = {"CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off", "GOOS": "linux", "GOARCH": "amd64"}


def program(name: str, say: Callable[[str], None]) -> Path:
    """One of these programs, compiled where it is missing.

    Args:
        name: of the program, a key of :data:`PACKAGES`.
        say: gets a line on what is being made.

    Raises:
        SandboxError: there is no Go on this machine, or a module cannot be downloaded.
    """

    source, package = PACKAGES[name]

    def make(part: Path) -> None:
        log = cache.root() / "sandbox" / "log" / f"make-{name}.log"
        log.unlink(missing_ok=True)
        command = [tools.require_go(), "build", *FLAGS, "-o", str(part / name), package]
        tools.run(command, log, "The Go module registry", ENVIRONMENT, source)

    made = cache.ensure(name, [package, *FLAGS, source / "go.mod", source / "go.sum"], make, say=say)
    return made / name
