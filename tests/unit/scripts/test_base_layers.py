"""The layers of a base image as its registry has them."""

import hashlib
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from pipeline.scripts import base_layers
from pipeline.scripts.messages import Job

DOCKER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
OCI = "application/vnd.oci.image.layer.v1.tar+gzip"
#: Stands in for regctl, on a folder of blobs: answers what is asked for by digest, and notes it.
REGCTL = """\
import json, pathlib, shutil, sys
folder = pathlib.Path(__file__).parent
words = sys.argv[1 : sys.argv.index("--verbosity")]
with (folder / "asked").open("a") as asked:
    print(*words, file=asked)
def blob(digest):
    file = folder / digest.rpartition(":")[2]
    if not file.is_file():
        sys.exit(f"{digest} is not there")
    return file
match words:
    case ["manifest", "get", name, "--format", "raw-body"] | ["blob", "get", _, name]:
        sys.stdout.buffer.write(blob(name).read_bytes())
    case ["manifest", "head", name, "--platform", platform]:
        found = [one["digest"] for one in json.loads(blob(name).read_bytes())["manifests"] if one["for"] == platform]
        print(found[0] if found else sys.exit(f"platform not found: {platform}"))
    case ["blob", "copy", _, target, name]:
        to = pathlib.Path(target.removeprefix("ocidir://"), "blobs/sha256")
        to.mkdir(parents=True, exist_ok=True)
        shutil.copy(blob(name), to)
    case ["registry", "login", *_]:
        (folder / "password").write_text(sys.stdin.read())
    case _:
        sys.exit(f"unknown: {words}")
"""


class RegistryFolder:
    """Blobs of a registry, and a regctl that reads them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.program = folder / "regctl"
        self.program.write_text(f"#!{sys.executable}\n{REGCTL}")
        self.program.chmod(0o755)
        self.layers = [self.add(b"lower"), self.add(b"upper")]
        settings: dict[str, Any] = {"Healthcheck": {"Test": ["NONE"]}, "OnBuild": [], "Shell": None, "User": "1000"}
        rootfs = {"diff_ids": ["plain lower", "plain upper"]}
        config = self.add(json.dumps({"rootfs": rootfs, "config": settings}).encode())
        layers = [{"mediaType": kind, **layer} for kind, layer in zip((DOCKER, OCI), self.layers, strict=True)]
        self.manifest = self.add(json.dumps({"config": config, "layers": layers}).encode())["digest"]
        platforms = [{"digest": self.manifest, "for": "linux/amd64"}]
        self.index = self.add(json.dumps({"manifests": platforms}).encode())["digest"]

    def add(self, data: bytes) -> dict[str, Any]:
        """Add a blob, and return its descriptor."""
        digest = hashlib.sha256(data).hexdigest()
        (self.folder / digest).write_bytes(data)
        return {"digest": f"sha256:{digest}", "size": len(data)}

    def run(self, action: str, **values: Any) -> int:  # noqa: ANN401  # fields of Job
        """Run the command, with a password."""
        job = Job(
            action=action,
            repository="ghcr.io/lab/base",
            host="ghcr.io",
            username="me",
            program=str(self.program),
            timeout=10,
            tries=1,
            seconds=1,
            **values,
        )
        file = self.folder.with_name("job.json")
        file.write_text(json.dumps(asdict(job)))
        return base_layers.main(str(file), str(self.folder.with_name("out")))


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RegistryFolder:
    """A registry with a base image of two layers."""
    monkeypatch.setitem(os.environ, "REGISTRY_PASSWORD", "secret")
    return RegistryFolder(tmp_path / "registry")


@pytest.mark.parametrize("nested", [True, False])
def test_layers_are_described_as_the_registry_has_them(
    registry: RegistryFolder, tmp_path: Path, *, nested: bool
) -> None:
    """Of the platform, from an index or a manifest; Docker's media types have OCI's names in an image of ours."""
    digest = registry.index if nested else registry.manifest
    assert registry.run("describe", digest=digest, platform="linux/amd64") == 0
    lower, upper = registry.layers
    assert json.loads((tmp_path / "out/layers.json").read_text()) == [
        {"mediaType": OCI, **lower, "diff_id": "plain lower"},
        {"mediaType": OCI, **upper, "diff_id": "plain upper"},
    ]
    # The engine passes on all settings but Docker's own.
    assert json.loads((tmp_path / "out/settings.json").read_text()) == {"Healthcheck": {"Test": ["NONE"]}}
    assert (registry.folder / "password").read_text() == "secret"
    assert "blob copy" not in (registry.folder / "asked").read_text()


def test_a_layer_is_fetched_by_its_digest(registry: RegistryFolder, tmp_path: Path) -> None:
    """Alone, as a blob of a layout."""
    wanted = registry.layers[1]["digest"]
    assert registry.run("fetch", digest=registry.index, blobs=[wanted]) == 0
    (blob,) = (tmp_path / "out/blobs/sha256").iterdir()
    assert (blob.name, blob.read_bytes()) == (wanted.removeprefix("sha256:"), b"upper")


@pytest.mark.parametrize(
    ("action", "values"),
    [("describe", {"platform": "linux/arm64"}), ("fetch", {"blobs": [f"sha256:{'0' * 64}"]})],
)
def test_what_the_registry_does_not_have_ends_it(
    registry: RegistryFolder, capsys: pytest.CaptureFixture[str], action: str, values: dict[str, Any]
) -> None:
    """With a code that the engine does not keep, and the reason in the last line."""
    assert registry.run(action, digest=registry.index, **values) == 1
    assert not (registry.folder.with_name("out") / "layers.json").exists()
    reason = capsys.readouterr().err.strip().splitlines()[-1]
    assert reason == (f"{values['blobs'][0]} is not there" if action == "fetch" else "platform not found: linux/arm64")


@pytest.mark.parametrize("action", ["describe", "fetch"])
def test_bytes_that_are_not_what_the_digest_names_end_it(
    registry: RegistryFolder, capsys: pytest.CaptureFixture[str], action: str
) -> None:
    """A registry is not believed."""
    layer = registry.layers[0]["digest"]
    wrong = registry.manifest if action == "describe" else layer
    (registry.folder / wrong.removeprefix("sha256:")).write_bytes(b"{}")
    assert registry.run(action, digest=registry.manifest, platform="linux/amd64", blobs=[layer]) == 1
    assert f"it gives sha256:{hashlib.sha256(b'{}').hexdigest()} for {wrong}" in capsys.readouterr().err
