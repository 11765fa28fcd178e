"""Channels, package indexes and registries that ask who one is: a build with, without and with wrong credentials."""

import asyncio
import base64
import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagger import dag

from pipeline.credentials.logins import Logins
from tests.engine.conftest import PATIENCE, ROOT, Checkout, copy_module, overlay, refused
from tests.engine.publishing import docker_config, skopeo
from tests.sandbox import credentials
from tests.sandbox.channel import index, package
from tests.sandbox.current_pixi import VERSION
from tests.sandbox.hosts import PRIVATE, registry
from tests.sandbox.state import current

MANIFEST = """\
[project]
name = "secretive"
channels = ["conda-forge", "{channel}"]
platforms = ["linux-64"]

[dependencies]
python = "3.12.*"
hidden = "*"
"""
SPEC = """\
description = "An image with a package of a private channel"

[[probes.commands]]
command = ["test", "-s", "/app/.pixi/envs/default/share/hidden"]
"""
#: An image on a current pixi, with a package that only a private index has.
INDEXED_SPEC = f"""\
description = "An image with a package of a private index"
base = "ghcr.io/prefix-dev/pixi:{VERSION}-noble"
"""
INDEXED = """\
[workspace]
name = "indexed"
channels = ["conda-forge"]
platforms = ["linux-64"]
conda-pypi-map = false

[dependencies]
python = "3.12.*"

[pypi-options]
index-url = "{index}"

[pypi-dependencies]
hushed = "*"
"""
GHCR = registry("ghcr.io")
BASE = "ghcr.io/prefix-dev/pixi:noble"
DEBIAN = "docker.io/library/debian:bookworm-slim"
REGISTRY_AUTH = (
    "with-registry-auth",
    "--address=ghcr.io",
    f"--username={os.environ.get(GHCR.user_variable, '')}",
    f"--secret=env:{GHCR.password_variable}",
)
HOST = ("with-channel-auth", f"--host={PRIVATE.name}")
PASSWORD = (
    *HOST,
    f"--username={os.environ.get(PRIVATE.user_variable, '')}",
    f"--secret=env:{PRIVATE.password_variable}",
)
TOKEN = (*HOST, f"--token=env:{PRIVATE.password_variable}")
#: What is in no message, file or log: also as a client sends it.
SECRETS = tuple(
    word
    for name in (PRIVATE.name, GHCR.name)
    for pair in [credentials.ensure(current().secrets)[name]]
    for word in (pair.password, pair.basic)
)


#: How a compressed blob begins.
GZIP = b"\x1f\x8b"


def inside(*command: str) -> None:
    """Run a command in the sandbox's machine."""
    subprocess.run([str(ROOT / "dev"), "exec", *command], check=True, capture_output=True, timeout=PATIENCE)


class Private:
    """A folder that nobody has seen before, behind a password or a token."""

    def __init__(self, kind: str) -> None:
        self.credentials = TOKEN if kind == "token" else PASSWORD
        self.name = f"hidden-{time.time_ns():x}"
        path = f"token/{self.name}" if kind == "token" else self.name
        self.address = f"https://{PRIVATE.name}/{path}"
        self.folder = current().folder / "channels" / self.name
        self.folder.mkdir(parents=True)
        self.served = f"/srv/{PRIVATE.name}/{path}"
        inside("mkdir", "-p", str(Path(self.served).parent))
        inside("ln", "-sfn", str(self.folder), self.served)

    def add_package(self, version: str = "1.0") -> None:
        """Make it a channel, with a package of which no other image has the same: a cache would give it to anybody."""
        package.write(self.folder, "hidden", version, "h_0", {"share/hidden": self.name}, noarch="generic")
        index.refresh(self.folder)

    def add_wheel(self) -> tuple[str, str]:
        """Put a wheel there, and return its address and hash."""
        name = "hushed-1.0-py3-none-any.whl"
        info = "hushed-1.0.dist-info"
        files = {
            "hushed.py": f"NAME = {self.name!r}\n",
            f"{info}/METADATA": "Metadata-Version: 2.1\nName: hushed\nVersion: 1.0\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        rows = [f"{path},sha256={_hash(text)},{len(text)}\n" for path, text in files.items()]
        with zipfile.ZipFile(self.folder / name, "w") as wheel:
            for path, text in (files | {f"{info}/RECORD": "".join([*rows, f"{info}/RECORD,,\n"])}).items():
                wheel.writestr(path, text)
        return f"{self.address}/{name}", hashlib.sha256((self.folder / name).read_bytes()).hexdigest()

    def add_index(self) -> str:
        """Put an index there that lists the wheel, and return its address."""
        address, sha256 = self.add_wheel()
        page = self.folder / "simple" / "hushed" / "index.html"
        page.parent.mkdir(parents=True)
        page.write_text(f'<!DOCTYPE html><a href="{address}#sha256={sha256}">{address.rpartition("/")[2]}</a>')
        return f"{self.address}/simple"

    def remove(self) -> None:
        """Leave nothing of it."""
        inside("rm", "-f", self.served)
        shutil.rmtree(self.folder)


def _hash(text: str) -> str:
    """As RECORD has it."""
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


@pytest.fixture(params=["password", "token"])
def private(request: pytest.FixtureRequest) -> Iterator[Private]:
    """A folder of each kind."""
    made = Private(request.param)
    yield made
    made.remove()


@pytest.fixture
def secretive(tmp_path: Path, private: Private) -> Checkout:
    """A checkout with an image that needs a package of a private channel, not locked yet."""
    private.add_package()
    copy_module(tmp_path)
    made = Checkout(tmp_path)
    made.write("secretive/image.toml", SPEC)
    made.write("secretive/pixi.toml", MANIFEST.format(channel=private.address))
    return made


def passed(checkout: Checkout, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A call that ends well."""
    ended = checkout.call(*arguments)
    assert ended.returncode == 0, ended.stderr
    return ended


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_an_image_with_a_private_channel(
    secretive: Checkout, private: Private, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Locked, built, tested and listed with credentials; refused in one sentence without, and with wrong ones."""
    monkeypatch.setenv("WRONG", "not-the-secret")
    wrong = [word.partition("=env:")[0] + "=env:WRONG" if "=env:" in word else word for word in private.credentials]
    output = []

    give = f"{PRIVATE.name} wants credentials: put 'with-channel-auth --host {PRIVATE.name} "
    rejected = f"{PRIVATE.name} rejects what 'with-channel-auth --host {PRIVATE.name} …' gave"
    said = await refused(secretive, "lock", image="secretive")
    assert said.startswith("secretive: pixi cannot lock what secretive/pixi.toml asks for: ")
    assert give in said
    assert rejected in secretive.refusal(*wrong, "lock", "--image", "secretive")

    output.append(passed(secretive, "--auto-apply", *private.credentials, "lock", "--image", "secretive"))
    lock = secretive.read("secretive/pixi.lock")
    assert f"{private.address}/noarch/hidden-1.0-h_0.conda" in lock

    await asyncio.to_thread(private.add_package, "1.1")  # it has a loop of its own
    package_only = ("lock", "--image", "secretive", "--package", "hidden")
    assert give in secretive.refusal("lock", "--image", "secretive", "--check")
    assert rejected in secretive.refusal(*wrong, *package_only)
    output.append(passed(secretive, "--auto-apply", *private.credentials, *package_only))
    lock = secretive.read("secretive/pixi.lock")
    assert f"{private.address}/noarch/hidden-1.1-h_0.conda" in lock
    output.append(passed(secretive, *private.credentials, "lock", "--image", "secretive", "--check"))
    assert "secretive/pixi.lock is fresh" in output[-1].stderr

    # It reads what is locked, and asks no channel: so credentials are needed by nobody.
    output.append(passed(secretive, "outdated", "--image", "secretive", "--format", "json"))
    looked_up = r"secretive: 0 of \d+ packages are of Python, and were looked up; OSV knows no others of conda"
    assert re.fullmatch(looked_up, json.loads(output[-1].stdout)["notes"][0])

    said = await refused(secretive, "build", image="secretive")
    assert "1 of " in said
    assert give in said
    assert rejected in secretive.refusal(*wrong, "build", "--image", "secretive")

    output.append(passed(secretive, *private.credentials, "smoke-test", "--image", "secretive"))
    tarball, sbom = tmp_path / "image.tar", tmp_path / "sbom.json"
    build = (*private.credentials, "build", "--image", "secretive")
    output.append(passed(secretive, *build, "as-tarball", "export", "--path", str(tarball)))
    output.append(
        passed(secretive, *private.credentials, "sbom", "--image", "secretive", "export", "--path", str(sbom))
    )
    output.append(passed(secretive, *build, "env-variables", "name"))
    for name in ("RATTLER_AUTH_FILE", "NETRC", "LOGINS_HOME"):
        assert name not in output[-1].stdout

    texts = [ended.stdout + ended.stderr for ended in output] + [said, lock, sbom.read_text()]
    assert_hidden("".join(texts).encode(), (current().log / "engine.log").read_bytes())
    for content in files_of(tarball):
        assert_hidden(content)
        assert b".logins" not in content


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_a_secret_in_an_address_is_refused(secretive: Checkout, private: Private) -> None:
    """With its line, before anything is asked, and without a repetition of it."""
    address = private.address.replace("https://", "https://me:unspeakable@")
    secretive.write("secretive/pixi.toml", MANIFEST.format(channel=address))
    shutil.copy(overlay("small") / "pixi.lock", secretive.path / "secretive")
    known = "secretive/pixi.toml:3 has a password in an address at packages.maniaclab.example; "
    ended = secretive.call("lock", "--image", "secretive")
    for said in (
        ended.stdout + ended.stderr,
        await refused(secretive, "build", image="secretive"),
        await refused(secretive, "lock", image="secretive", check=True),
    ):
        assert known in said
        assert "with-channel-auth --host packages.maniaclab.example" in said
        assert "unspeakable" not in said


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_a_step_neither_prints_nor_keeps_what_it_is_given() -> None:
    """The files are there while it runs; the engine takes secrets out of its output, and the folder goes."""
    logins = Logins(channels={"conda.example.org": ("me", "unspeakable"), "other.example.org": ("", "silence")})
    script = 'cd "$LOGINS_HOME"; cat "$RATTLER_AUTH_FILE" "$NETRC"; echo unspeakable silence; touch .rattler/made'
    step = logins.mounted(dag.container().from_(DEBIAN)).with_exec(["sh", "-euc", script])
    said = await step.stdout()
    assert said.endswith("*** ***\n")
    assert "unspeakable" not in said
    assert "silence" not in said
    assert ".logins/" not in await step.rootfs().entries()


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_a_private_wheel(checkout: Checkout, private: Private) -> None:
    """pixi's PyPI half asks with the same credentials."""
    address, sha256 = private.add_wheel()
    lock = checkout.read("small/pixi.lock").replace("\npackages:\n", f"\n      - pypi: {address}\npackages:\n")
    lock += f"- kind: pypi\n  name: hushed\n  version: '1.0'\n  url: {address}\n  sha256: {sha256}\n"
    checkout.write("small/pixi.lock", lock)
    checkout.write("small/pixi.toml", f'{checkout.read("small/pixi.toml")}\n[pypi-dependencies]\nhushed = "*"\n')
    said = await refused(checkout, "build", image="small")
    assert f"put 'with-channel-auth --host {PRIVATE.name} " in said
    python = ("with-exec", "--args=python,-c,import hushed; print(hushed.NAME)", "stdout")
    ended = passed(checkout, *private.credentials, "build", "--image", "small", *python)
    assert ended.stdout.strip() == private.name
    assert_hidden((ended.stdout + ended.stderr).encode())


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_a_private_index(private: Private, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A current pixi finds packages there, locks and installs them; one of 0.15 knows no index but PyPI."""
    monkeypatch.setenv("WRONG", "not-the-secret")
    wrong = [word.partition("=env:")[0] + "=env:WRONG" if "=env:" in word else word for word in private.credentials]
    copy_module(tmp_path)
    checkout = Checkout(tmp_path)
    checkout.write("indexed/image.toml", INDEXED_SPEC)
    checkout.write("indexed/pixi.toml", INDEXED.format(index=private.add_index()))
    give = f"put 'with-channel-auth --host {PRIVATE.name} "
    rejected = f"{PRIVATE.name} rejects what 'with-channel-auth --host {PRIVATE.name} …' gave"

    said = [await refused(checkout, "lock", image="indexed"), checkout.refusal(*wrong, "lock", "--image", "indexed")]
    assert give in said[0]
    assert rejected in said[1]
    output = [passed(checkout, "--auto-apply", *private.credentials, "lock", "--image", "indexed")]
    lock = checkout.read("indexed/pixi.lock")
    assert f"- pypi: {private.address}/hushed-1.0-py3-none-any.whl" in lock

    said += [await refused(checkout, "build", image="indexed"), checkout.refusal(*wrong, "build", "--image", "indexed")]
    assert give in said[2]
    assert rejected in said[3]
    python = ("with-exec", "--args=python,-c,import hushed; print(hushed.NAME)", "stdout")
    output.append(passed(checkout, *private.credentials, "build", "--image", "indexed", *python))
    assert output[-1].stdout.strip() == private.name
    assert_hidden("".join([*said, lock, *(ended.stdout + ended.stderr for ended in output)]).encode())


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_an_image_on_a_private_base(checkout: Checkout) -> None:
    """Built, tested and locked with credentials of the registry; refused in one sentence without."""
    name = f"ghcr.io/maniaclab/private-{time.time_ns():x}:1"
    config = docker_config()
    skopeo("copy", f"--authfile={config}", f"docker://{BASE}", f"docker://{name}")
    checkout.write("small/image.toml", f'description = "On a private base"\nbase = "{name}"\n')
    give = "put 'with-registry-auth --address ghcr.io --username NAME --secret env:PASSWORD' before the function"
    for function in ("build", "lock"):
        said = await refused(checkout, function, image="small")
        assert said.startswith(f"small: base image {name} cannot be pulled: ")
        assert give in said
    output = [passed(checkout, *REGISTRY_AUTH, "smoke-test", "--image", "small")]
    output.append(passed(checkout, *REGISTRY_AUTH, "build", "--image", "small", "with-exec", "--args=true", "stdout"))
    output.append(passed(checkout, "--auto-apply", *REGISTRY_AUTH, "lock", "--image", "small"))
    assert name in checkout.read("small/base.lock")
    output.append(passed(checkout, *REGISTRY_AUTH, "lock", "--image", "small", "--check"))
    output.append(passed(checkout, *REGISTRY_AUTH, "sbom", "--image", "small", "contents"))
    assert_hidden("".join(ended.stdout + ended.stderr for ended in output).encode())


@pytest.mark.asyncio
@pytest.mark.usefixtures("connection")
async def test_a_dockerfile_on_a_private_base(checkout: Checkout) -> None:
    """FROM is pulled with the same credentials."""
    name = f"ghcr.io/maniaclab/private-{time.time_ns():x}:1"
    skopeo("copy", f"--authfile={docker_config()}", f"docker://{BASE}", f"docker://{name}")
    checkout.write("made/image.toml", 'description = "On a private base"\ndockerfile = "Dockerfile"\n')
    checkout.write("made/Dockerfile", f"FROM {name}\nRUN echo {time.time_ns()} > /stamp\n")
    said = await refused(checkout, "build", image="made")
    assert said.startswith("made: made/Dockerfile was not built: ")
    assert "put 'with-registry-auth --address ghcr.io " in said
    passed(checkout, *REGISTRY_AUTH, "build", "--image", "made", "with-exec", "--args=true", "stdout")


def assert_hidden(*contents: bytes) -> None:
    """None of the secrets is in any of these."""
    for content in contents:
        for secret in SECRETS:
            assert secret.encode() not in content


def files_of(tarball: Path) -> Iterator[bytes]:
    """All that an image consists of, uncompressed: its configuration and its layers."""
    with tarfile.open(tarball) as archive:
        for member in archive:
            file = archive.extractfile(member)
            data = file.read() if file else b""
            yield gzip.decompress(data) if data.startswith(GZIP) else data
