"""A site where published images are used: its login node, and the images there in each form that sites have them in."""

import asyncio
import hashlib
import json
from dataclasses import dataclass, field
from typing import Final

from tests.engine.conftest import Checkout
from tests.engine.publishing import Shop, docker_config
from tests.sandbox.clients import FAST, HOME, PATH, Clients

VERSION: Final = "2026.2.0"
#: Apptainer converts images without compressing them.
QUICKLY: Final = {"PATH": f"{FAST}:{PATH}"}
#: A user that neither the node nor an image knows.
ANYBODY: Final = 12345
#: Nothing can be written to but /tmp, as a strict site of Kubernetes has it.
LOCKED: Final = (
    *("--read-only", "--read-only-tmpfs=false", "--tmpfs=/tmp:mode=1777"),
    *("--cap-drop=ALL", "--security-opt=no-new-privileges"),
)


@dataclass
class Site:
    """A login node, and images that were published for it; each is made once, when it is first asked for."""

    clients: Clients
    registry: str
    """The registry with a path that no other run has."""
    checkout: Checkout
    """The checkout whose images are published."""
    shop: Shop
    """The place with the image ``tiny``, which a Dockerfile makes."""
    published: dict[str, str] = field(default_factory=dict)
    """Digests by reference."""

    def reference(self, image: str, version: str = VERSION) -> str:
        """The name of an image at the registry; it is published first where it is not there.

        Args:
            image: ``columnar`` or ``ml_platform``, as the sandbox has them, or ``tiny``.
            version: to publish it as.
        """
        reference = f"{self.registry}/{image}:{version}"
        if reference not in self.published:
            self.published[reference] = self._publish(image, f"v{version}")
        return reference

    def _publish(self, image: str, tag: str) -> str:
        if image == "tiny":
            # Each version has a commit of its own, since a tag with its name is never given to another image.
            commit = hashlib.sha256(tag.encode()).hexdigest()[:40]
            outcome = asyncio.run(self.shop.publish(tag, commit=commit))
            assert not outcome.failure, outcome.failure
            return outcome.digests[image]
        publish = ["--tag", tag, "--image", image, "--registries", self.registry, "--format", "json"]
        # Typed: in this process the image would be installed once more.
        ended = self.checkout.call("publish", *publish, "--docker-config", f"file:{docker_config()}")
        assert ended.returncode == 0, ended.stderr
        return str(json.loads(ended.stdout)["digests"][image])

    def sif(self, image: str) -> str:
        """The path of a SIF file, converted from the registry's image; `docker://` finds it in a cache after that."""
        path = f"{HOME}/{image}.sif"
        if not self._has(path):
            self.clients.run("apptainer", "pull", path, f"docker://{self.reference(image)}", environment=QUICKLY)
        return path

    def unpacked(self, image: str) -> str:
        """The path of an unpacked image as CVMFS has it: read-only, and behind a link with a colon in its name."""
        path = f"/cvmfs/unpacked.example/{self.reference(image)}"
        if not self._has(path):
            flat = f"/cvmfs/unpacked.example/.flat/{image}"
            made = f"{HOME}/{image}.folder"
            self.clients.run("apptainer", "build", "--sandbox", made, f"docker://{self.reference(image)}")
            mount = 'mkdir -p "$2" "${3%/*}"; mount --bind "$1" "$2"; mount -o remount,bind,ro "$2"; ln -s "$2" "$3"'
            self.clients.run("sh", "-euc", mount, "sh", made, flat, path, user=0)
        return path

    def apptainer(self, image: str, form: str = "sif", *options: str) -> list[str]:
        """The words before a command that Apptainer is to run in an image.

        Args:
            image: its name.
            form: "docker", "sif" or "folder".
            options: of `apptainer exec`.
        """
        name = self.unpacked(image) if form == "folder" else self.sif(image)
        if form == "docker":  # which takes what was converted for the file
            name = f"docker://{self.reference(image)}"
        return ["apptainer", "--quiet", "exec", *options, name]

    def podman(self, image: str, *options: str) -> list[str]:
        """The words before a command that Podman is to run in an image."""
        return ["podman", "run", "--rm", *options, self.reference(image)]

    def _has(self, path: str) -> bool:
        return self.clients.attempt("test", "-e", path).returncode == 0
