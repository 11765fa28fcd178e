"""Programs in Go besides Dagger: each compiled when it is asked for, all from one set of pinned modules."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.sandbox import cache, tools

#: A Go module that names them as tools, with the hashes of all that they are made from.
SOURCE: Final = Path(__file__).with_name("programs")
PACKAGES: Final = {
    "actionlint": "github.com/rhysd/actionlint/cmd/actionlint",
    "regctl": "github.com/regclient/regclient/cmd/regctl",
    "toxiproxy": "github.com/Shopify/toxiproxy/v2/cmd/server",
}
FLAGS: Final = ("-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags=-s -w")
#: Static programs, which run in images without anything else.
ENVIRONMENT: Final = {"CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off", "GOOS": "linux", "GOARCH": "amd64"}


def program(name: str, say: Callable[[str], None]) -> Path:
    """One of these programs, compiled where it is missing.

    Args:
        name: of the program, a key of :data:`PACKAGES`.
        say: told what is being made.

    Raises:
        SandboxError: there is no Go on this machine, or a module cannot be downloaded.
    """

    def make(part: Path) -> None:
        log = cache.root() / "sandbox" / "log" / f"make-{name}.log"
        log.unlink(missing_ok=True)
        command = [tools.require_go(), "build", *FLAGS, "-o", str(part / name), PACKAGES[name]]
        tools.run(command, log, "The Go module registry", ENVIRONMENT, SOURCE)

    made = cache.ensure(name, [PACKAGES[name], *FLAGS, SOURCE / "go.mod", SOURCE / "go.sum"], make, say=say)
    return made / name
