"""Debian root file systems, as layers of images."""

import tarfile
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from tests.sandbox import cache, oci, tools

#: Half of the files, and nothing that runs needs them.
LEFT_OUT: Final = ("/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/man/*")

OPTIONS: Final = (
    "--mode=root",
    "--variant=minbase",
    "--format=tar",
    "--skip=output/dev",
    "--dpkgopt=force-unsafe-io",
    *(f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT),
    # Copied from the host for the time of installing; a container gets its own.
    '--customize-hook=rm -f "$1/etc/hostname" "$1/etc/resolv.conf"',
    # The engine lends its certificates to each container. With this script in it, it runs that before and after each
    # command: seconds, and traces in layers that nobody has who has no such certificates. Without, it adds them to the
    # bundle and takes out what stands between empty lines there, so what was there before has to end with one.
    '--customize-hook=rm "$1/usr/sbin/update-ca-certificates"',
    '--customize-hook=echo >> "$1/etc/ssl/certs/ca-certificates.crt"',
    # OpenSSL would look for them one by one.
    '--customize-hook=ln -sf /etc/ssl/certs/ca-certificates.crt "$1/usr/lib/ssl/cert.pem"',
)
#: Options for the suite that changes each day: where it is served as it was on one day, its index has expired.
UNSTABLE_OPTIONS: Final = ('--aptopt=Acquire::Check-Valid-Until "false"',)


def root_layer(suite: str, packages: Sequence[str], say: Callable[[str], None], name: str = "", hook: str = "") -> Path:
    """The compressed layer of a Debian release with some packages: the same bytes from the same packages.

    Args:
        suite: the release's name, such as "bookworm".
        packages: what to install besides the essential packages.
        say: gets a line on what is being made.
        name: what it is called in the cache; the suite's name where empty.
        hook: a shell command to run at the end, on the host, with the root's path as ``$1``.

    Raises:
        SandboxError: Debian's package archive cannot be reached, or a package cannot be installed.
    """
    part_name = f"debian-{name or suite}"
    more = UNSTABLE_OPTIONS if suite == "sid" else ()
    options = [*OPTIONS, *more, f"--include={','.join(packages)}", *([f"--customize-hook={hook}"] if hook else [])]

    def make(part: Path) -> None:
        log = cache.root() / "sandbox" / "log" / f"make-{part_name}.log"
        log.unlink(missing_ok=True)
        with tempfile.TemporaryDirectory(dir=part.parent) as folder:
            tar = Path(folder) / "root.tar"
            tools.run(
                ["mmdebstrap", *options, suite, str(tar)],
                log,
                "Debian's package archive",
                {"SOURCE_DATE_EPOCH": "0"},
            )
            # mmdebstrap leaves out the folder together with the devices in it.
            with tarfile.open(tar, "a") as archive:
                archive.addfile(oci.folder_entry("./dev"))
            oci.compress(tar, part / "layer.tar.gz")

    made = cache.ensure(part_name, [suite, *options], make, say=say)
    return made / "layer.tar.gz"


def key(layer: Path) -> str:
    """The key of a layer's inputs, in short: it stands for the layer in the keys of what is made from it."""
    return layer.parents[1].name
