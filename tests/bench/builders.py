"""Builders that also push the image: this pipeline by the Dagger CLI, and BuildKit itself from a Dockerfile."""

import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.sandbox import processes, programs
from tests.sandbox.credentials import docker_config, ensure
from tests.sandbox.hosts import REGISTRIES
from tests.sandbox.machine import Machine
from tests.sandbox.state import State, current

REGISTRY: Final = "ghcr.io"
#: Seconds that the daemon may take to start.
PATIENCE: Final = 30


class Pipeline:
    """This pipeline, as people call it."""

    def __init__(self, registries: str) -> None:
        self.registries = registries
        """The registry and path that images are published to."""

    def reference(self, image: str, tag: str) -> str:
        """The name of a published image."""
        return f"{self.registries}/{image}:{tag}"

    def build(self, folder: Path, image: str) -> float:
        """Build an image; the seconds that took."""
        return timed(["dagger", "--progress=plain", "call", "build", "--image", image, "sync"], folder)

    def publish(self, folder: Path, image: str, tag: str) -> float:
        """Test an image that is built, and push it with all that belongs to it; the seconds that took."""
        host = next(host for host in REGISTRIES if host.name == REGISTRY)
        login = ["with-registry-auth", "--address", REGISTRY, "--username", os.environ[host.user_variable]]
        login += ["--secret", f"env:{host.password_variable}"]
        what = ["--tag", tag, "--image", image, "--registries", self.registries, "--commit", secrets.token_hex(20)]
        return timed(["dagger", "--progress=plain", "call", *login, "publish", *what], folder)

    def call(self, folder: Path, *arguments: str) -> float:
        """Call a function; the seconds that took."""
        return timed(["dagger", "--progress=plain", *arguments], folder)


@dataclass(frozen=True)
class Dockerfile:
    """BuildKit, as it is without Docker or Dagger around it."""

    state: State
    client: Path
    registry: str
    """The registry and path that images are pushed to."""

    def reference(self, image: str, tag: str) -> str:
        """The name of a pushed image."""
        return f"{self.registry}/{image}-dockerfile:{tag}"

    def command(self, folder: Path, image: str, arguments: Mapping[str, str], *output: str) -> list[str]:
        """The command that builds an image from the Dockerfile in its folder."""
        certificates = self.state.config / "ca-certificates.crt"
        return [
            str(self.client),
            f"--addr=unix://{self.state.run / 'buildkit.sock'}",
            "build",
            "--progress=plain",
            "--frontend=dockerfile.v0",
            f"--local=context={folder / image}",
            f"--local=dockerfile={folder / image}",
            f"--secret=id=certificates,src={certificates}",
            *(f"--opt=build-arg:{name}={value}" for name, value in arguments.items()),
            *output,
        ]

    def build(self, folder: Path, image: str, **arguments: str) -> float:
        """Build an image; the seconds that took."""
        return timed(self.command(folder, image, arguments), folder)

    def publish(self, folder: Path, image: str, tag: str, **arguments: str) -> float:
        """Push an image that is built; the seconds that took."""
        output = f"--output=type=image,name={self.reference(image, tag)},push=true"
        return timed(self.command(folder, image, arguments, output), folder)

    def forget(self) -> None:
        """Throw away all that it has built and downloaded."""
        timed([str(self.client), f"--addr=unix://{self.state.run / 'buildkit.sock'}", "prune", "--all"], Path("/"))


@contextmanager
def dockerfile(registry: str, scratch: Path) -> Iterator[Dockerfile]:
    """Run BuildKit in the sandbox's machine, with nothing in its store.

    Args:
        registry: the registry and path to push to.
        scratch: an empty folder for what clients log in with.
    """
    state = current()
    daemon, client = (programs.program(name, print) for name in ("buildkitd", "buildctl"))
    (scratch / "config.json").write_text(docker_config(ensure(state.secrets)))
    store = state.folder / "buildkit"
    shutil.rmtree(store, ignore_errors=True)
    socket = state.run / "buildkit.sock"
    socket.unlink(missing_ok=True)
    command = [str(daemon), f"--root={store}", f"--addr=unix://{socket}", "--oci-worker-snapshotter=overlayfs"]
    process = processes.start(
        Machine(state).command([*command, "--oci-worker-net=host"]), state.log / "buildkit.log", forks=True
    )
    try:
        deadline = time.monotonic() + PATIENCE
        while not socket.exists():
            if not process.is_alive or time.monotonic() > deadline:
                raise SystemExit(f"BuildKit did not start: {processes.last_lines(state.log / 'buildkit.log')}")
            time.sleep(0.1)
        with logged_in(scratch):
            yield Dockerfile(state, client, registry)
    finally:
        process.stop()
        shutil.rmtree(store, ignore_errors=True)


@contextmanager
def logged_in(folder: Path) -> Iterator[None]:
    """Let clients find the passwords of all registries."""
    before = os.environ.get("DOCKER_CONFIG")
    os.environ["DOCKER_CONFIG"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["DOCKER_CONFIG"]
        else:
            os.environ["DOCKER_CONFIG"] = before


def timed(command: list[str], folder: Path) -> float:
    """Run a command; the seconds that took.

    Raises:
        SystemExit: it failed.
    """
    started = time.monotonic()
    output(command, folder)
    return time.monotonic() - started


def output(command: list[str], folder: Path) -> str:
    """Run a command; what it printed.

    Raises:
        SystemExit: it failed.
    """
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{ended.stdout[-1000:]}\n{ended.stderr[-3000:]}")
    return ended.stdout


def skopeo(*arguments: str) -> str:
    """Run skopeo where the registries' names lead to them."""
    command = Machine(current()).command(["skopeo", *arguments])
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600, env=processes.ENVIRONMENT)
    if ended.returncode:
        raise SystemExit(f"skopeo {' '.join(arguments)} failed: {ended.stderr}")
    return ended.stdout


def blobs(reference: str) -> dict[str, int]:
    """The bytes of each layer and of the configuration of a pushed image, by digest."""
    manifest = json.loads(skopeo("inspect", "--raw", f"docker://{reference}"))
    return {blob["digest"]: blob["size"] for blob in (manifest["config"], *manifest["layers"])}
