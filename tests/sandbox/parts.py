"""The built parts of the sandbox, each kept in the cache, and made side by side where one does not need the other."""

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from tests.sandbox import cache, current_pixi, images, programs, sdk_content, tools
from tests.sandbox.images import BaseImage
from tests.sandbox.progress import Progress
from tests.sandbox.sdk_content import Sdk

HERE: Final = Path(__file__).parent
Say = Callable[[str], None]

ENGINE_VERSION: Final = "v0.19.10"
PIXI_VERSION: Final = "0.15.2"
MODULE: Final = "github.com/dagger/dagger"
COMMANDS: Final = ("dagger", "engine", "init", "dnsname", "dialstdio", "codegen")
GO_FLAGS: Final = (
    "-mod=readonly",
    "-buildvcs=false",
    "-tags=dfexcludepatterns,dfparents",
    f"-ldflags=-s -w -X {MODULE}/engine.Version={ENGINE_VERSION} -X {MODULE}/engine.Tag={ENGINE_VERSION}",
)

SUITE: Final = "bookworm"
ROOT_PACKAGES: Final = (
    "ca-certificates",
    "containernetworking-plugins",
    "dnsmasq-base",
    "docker-registry",
    "git",
    "iproute2",
    "iptables",
    "nginx-light",
    "runc",
    "skopeo",
    "tini",
)
#: Not needed, and half of the files.
LEFT_OUT: Final = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")

#: Paths in which the engine looks for files that Debian puts elsewhere, or that we build.
LINKS: Final = {
    "usr/local/bin/runc": "/usr/sbin/runc",
    **{f"opt/cni/bin/{name}": f"/usr/lib/cni/{name}" for name in ("bridge", "loopback", "firewall", "host-local")},
}
PLACES: Final = {
    "engine": "usr/local/bin/dagger-engine",
    "init": "usr/local/bin/dagger-init",
    "dnsname": "opt/cni/bin/dnsname",
    "dialstdio": "usr/bin/dial-stdio",
}
ENGINE_SOURCE: Final = HERE / "engine"
ENGINE_INPUTS: Final[tuple[str | Path, ...]] = (
    *GO_FLAGS,
    *COMMANDS,
    *(f"{key}={value}" for key, value in (PLACES | LINKS).items()),
    ENGINE_SOURCE,
)
PIXI_SOURCE: Final = HERE / "pixi"


@dataclass(frozen=True)
class Parts:
    """Folders in the cache.

    Attributes:
        engine: ``bin/`` with the CLI and the code generator, and ``root/`` to be laid over the root file system.
        pixi: ``bin/pixi``.
        rootfs: the machine's root file system.
        olareg: the program: the registry behind hub.opensciencegrid.org.
        sdk: the SDKs that the engine has built in.
        channel: ``linux-64/`` and ``noarch/``, each with packages and their index.
        images: what the registries start with.
    """

    engine: Path
    pixi: Path
    rootfs: Path
    olareg: Path
    sdk: Sdk
    channel: Path
    images: list[BaseImage]

    @property
    def root_folders(self) -> list[Path]:
        """The layers of the machine's root, the topmost first."""
        return [self.engine / "root", self.rootfs]

    @property
    def client(self) -> Path:
        """The Dagger CLI."""
        return self.engine / "bin" / "dagger"

    @property
    def folders(self) -> list[Path]:
        """The folders that the machine is made from."""
        return [self.engine, self.pixi, self.rootfs, self.olareg, self.sdk.folder, self.channel]

    def identities(self) -> list[str]:
        """Strings that change when a part is made again, even from the same inputs."""
        return [f"{folder} {folder.stat().st_ino}" for folder in self.folders]


def make_engine(say: Say) -> Path:
    """The Dagger CLI, the engine and its helpers."""

    def make(part: Path) -> None:
        go = tools.require_go()
        programs = part / "bin"
        programs.mkdir()
        log = _new_log("engine")
        packages = [f"{MODULE}/cmd/{name}" for name in COMMANDS]
        say(f"engine: compiling Dagger {ENGINE_VERSION} with Go, output in {log} …")
        tools.run(
            [go, "build", *GO_FLAGS, "-o", f"{programs}/", *packages],
            log,
            "The Go module registry",
            {"CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off", "GOOS": "linux", "GOARCH": "amd64"},
            ENGINE_SOURCE,
        )
        for name, place in PLACES.items():
            target = part / "root" / place
            target.parent.mkdir(parents=True, exist_ok=True)
            (programs / name).rename(target)
        for place, points_to in LINKS.items():
            link = part / "root" / place
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(points_to)

    return cache.ensure("engine", ENGINE_INPUTS, make, say=say)


def make_pixi(say: Say) -> Path:
    """The real pixi."""

    def make(part: Path) -> None:
        cargo = tools.require_cargo()
        log = _new_log("pixi")
        target = cache.root() / "cargo-target"
        say(f"pixi: compiling pixi {PIXI_VERSION} with Rust, output in {log} …")
        tools.run(
            [cargo, "build", "--release", "--locked"],
            log,
            "The Rust package registry",
            {"CARGO_TARGET_DIR": str(target)},
            PIXI_SOURCE,
        )
        (part / "bin").mkdir()
        (part / "bin" / "pixi").write_bytes((target / "release" / "pixi").read_bytes())
        (part / "bin" / "pixi").chmod(0o755)

    return cache.ensure("pixi", [PIXI_SOURCE], make, say=say)


def make_rootfs(say: Say) -> Path:
    """The machine's root file system, from Debian packages."""

    def make(part: Path) -> None:
        log = _new_log("rootfs")
        say(f"rootfs: installing Debian {SUITE} packages, output in {log} …")
        options = [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
        tools.run(
            [
                "mmdebstrap",
                "--variant=minbase",
                "--mode=root",
                f"--include={','.join(ROOT_PACKAGES)}",
                *options,
                SUITE,
                str(part),
            ],
            log,
            "Debian's package archive",
        )

    return cache.ensure("rootfs", [SUITE, *ROOT_PACKAGES, *LEFT_OUT], make, say=say)


def make_all(progress: Progress) -> Parts:
    """Make the parts that are missing: what compiles beside what downloads.

    Raises:
        SandboxError: one of them cannot be made; what else was going on is ended.
    """
    from tests.sandbox import channel  # noqa: PLC0415 -- slow, and not needed when all is made

    say = progress.say
    # Before the first minute is spent.
    if not cache.holds("engine", ENGINE_INPUTS):
        tools.require_go()
    if not cache.holds("pixi", [PIXI_SOURCE]):
        tools.require_cargo()

    def step[T](name: str, make: Callable[[Say], T]) -> T:
        with progress.step(name):
            return make(say)

    # Two threads for two cores: one mostly compiles, the other mostly downloads.
    def compile_all() -> tuple[Path, Sdk, Path]:
        engine = step("engine", make_engine)
        sdk = step("sdk-content", lambda say: sdk_content.sdk_content(engine / "bin" / "codegen", say))
        return engine, sdk, step("pixi", make_pixi)

    def download_all() -> tuple[Path, Path, Path, Path, dict[str, Path]]:
        rootfs = step("rootfs", make_rootfs)
        tree = step("python-tree", lambda say: channel.python_tree(say=say))
        current = step("current-pixi", lambda say: current_pixi.layer(tree, say))
        conda = step("channel", channel.build)
        # Kept in the cache, for what is made in the other thread and at the end.
        step("debian", sdk_content.root_layer)
        step("debian", images.root_layers)
        # Compiled here, since the other thread is at pixi much longer.
        made = {name: step(name, functools.partial(programs.program, name)) for name in ("regctl", "olareg", "cosign")}
        return rootfs, tree, current, conda, made

    pool = ThreadPoolExecutor(2)
    compiled, downloaded = pool.submit(compile_all), pool.submit(download_all)
    try:
        _finish([compiled, downloaded])
    finally:
        # An error is reported at once, not when the other thread's download has ended.
        pool.shutdown(wait=False, cancel_futures=True)
    engine, sdk, pixi = compiled.result()
    rootfs, tree, current, conda, made = downloaded.result()
    bundle = rootfs / "etc/ssl/certs/ca-certificates.crt"
    content = images.Content(pixi / "bin" / "pixi", current, tree, made["regctl"], made["cosign"], bundle)
    bases = step("images", lambda say: images.base_images(content, say))
    return Parts(engine, pixi, rootfs, made["olareg"], sdk, conda, bases)


def _finish(futures: Sequence[Future[Any]]) -> None:
    """Wait for all, and raise the first error at once: ending the compilers and installers that still run."""
    try:
        for future in wait(futures, return_when=FIRST_EXCEPTION).done:
            future.result()
    except BaseException:
        for child in psutil.Process().children(recursive=True):
            child.terminate()
        raise


def _new_log(name: str) -> Path:
    log = cache.root() / "sandbox" / "log" / f"make-{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    return log
