"""Servers that require credentials: folders behind a password or a token, a registry's private images; all secrets."""

import base64
import gzip
import hashlib
import os
import shutil
import tarfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from dagger import dag

from pipeline.main import Pipeline
from tests.engine.conftest import Before, inside
from tests.sandbox import credentials
from tests.sandbox.channel import index, package
from tests.sandbox.hosts import PRIVATE, registry
from tests.sandbox.state import current

GHCR: Final = registry("ghcr.io")
#: The remedies in messages for missing and for wrong credentials.
GIVE: Final = f"{PRIVATE.name} wants credentials: put 'with-channel-auth --host {PRIVATE.name} "
REJECTED: Final = f"{PRIVATE.name} rejects what 'with-channel-auth --host {PRIVATE.name} …' gave"
#: Secrets that are in no message, file or log, also in the form that a client sends.
SECRETS: Final = tuple(
    word
    for name in (PRIVATE.name, GHCR.name)
    for pair in [credentials.ensure(current().secrets)[name]]
    for word in (pair.password, pair.basic)
)
#: The first bytes of a compressed blob.
_GZIP: Final = b"\x1f\x8b"


class Private:
    """A folder that nobody has seen before, behind a password or a token."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.name = f"hidden-{time.time_ns():x}"
        path = f"token/{self.name}" if kind == "token" else self.name
        self.address = f"https://{PRIVATE.name}/{path}"
        self.folder = current().folder / "channels" / self.name
        self.folder.mkdir(parents=True)
        self.served = f"/srv/{PRIVATE.name}/{path}"
        inside("mkdir", "-p", str(Path(self.served).parent))
        inside("ln", "-sfn", str(self.folder), self.served)

    @property
    def options(self) -> tuple[str, ...]:
        """The login as a person types it."""
        host, secret = f"--host={PRIVATE.name}", f"env:{PRIVATE.password_variable}"
        if self.kind == "token":
            return ("with-channel-auth", host, f"--token={secret}")
        return ("with-channel-auth", host, f"--username={os.environ[PRIVATE.user_variable]}", f"--secret={secret}")

    def login(self, secret: str | None = None) -> Before:
        """The same login for a function in this process; with another secret, it is a wrong one."""

        def log_in(pipeline: Pipeline) -> Pipeline:
            given = dag.set_secret("given", secret or os.environ[PRIVATE.password_variable])
            if self.kind == "token":
                return pipeline.with_channel_auth(PRIVATE.name, token=given)
            return pipeline.with_channel_auth(PRIVATE.name, username=os.environ[PRIVATE.user_variable], secret=given)

        return log_in

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


def registry_login(pipeline: Pipeline) -> Pipeline:
    """The login to ghcr.io for a function in this process."""
    password = dag.set_secret("registry-password", os.environ[GHCR.password_variable])
    return pipeline.with_registry_auth(GHCR.name, os.environ[GHCR.user_variable], password)


def assert_hidden(*contents: str | bytes | Path) -> None:
    """None of the secrets is in any of these, which are texts, bytes and files."""
    for content in contents:
        data = content.read_bytes() if isinstance(content, Path) else content
        data = data.encode() if isinstance(data, str) else data
        for secret in SECRETS:
            assert secret.encode() not in data


def files_of(tarball: Path) -> Iterator[bytes]:
    """All that an image consists of, uncompressed: its configuration and its layers."""
    with tarfile.open(tarball) as archive:
        for member in archive:
            file = archive.extractfile(member)
            data = file.read() if file else b""
            yield gzip.decompress(data) if data.startswith(_GZIP) else data
