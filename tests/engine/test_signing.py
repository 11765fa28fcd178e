"""Images are signed with a key, and cosign itself finds the signature in every registry."""

import secrets
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import dagger
import pytest
from dagger import dag

from pipeline.attestations.signing import PROGRAM, cosign
from pipeline.config.settings import Settings
from tests.engine.conftest import a_session
from tests.engine.publishing import COMMIT, digest_of, docker_config, open_shop, write_tiny
from tests.engine.test_publish import log_sizes, stored_blobs, writes
from tests.sandbox.state import current

pytestmark = pytest.mark.asyncio

BY_KEY: Final = ("--insecure-ignore-tlog", "--key")


@dataclass(frozen=True)
class Keys:
    """A pair of keys, and the password of the private one."""

    folder: Path
    password: str

    @property
    def arguments(self) -> list[str]:
        """What signs with them."""
        password = ["--signing-password", f"file:{self.folder}/password"] if self.password else []
        return ["--signing-key", f"file:{self.folder}/cosign.key", *password]

    @property
    def public(self) -> str:
        """The public key, as an argument."""
        return f"{self.folder}/cosign.pub"


async def make_keys(folder: Path, password: str) -> Keys:
    """New keys, made by cosign."""
    async with a_session():
        made = (
            cosign_container()
            .with_env_variable("COSIGN_PASSWORD", password)
            .with_exec([PROGRAM, "generate-key-pair"])
            .directory("/made")
        )
        await made.export(str(folder))
    (folder / "password").write_text(password)
    return Keys(folder, password)


def cosign_container() -> dagger.Container:
    """A container with cosign."""
    settings = Settings()
    container = dag.container().from_(settings.fetch_base).with_mounted_file(PROGRAM, cosign(settings))
    # Another one each time: the engine must not remember what cosign said.
    return container.with_workdir("/made").with_env_variable("WAY", secrets.token_hex(4))


async def cosign_accepts(options: Sequence[str], file: str, references: Sequence[str]) -> list[bool]:
    """Which images cosign finds signed, each looked up in its registry.

    It calls Docker Hub by a name that the sandbox does not play, unless it is told another one.

    Args:
        options: who has to have signed it; the last one is followed by a file.
        file: that file's path on this machine.
        references: the images.
    """
    references = [name.replace("docker.io/", "registry-1.docker.io/") for name in references]
    async with a_session():
        container = cosign_container().with_mounted_file("/file", dag.host().file(file))
        command = [PROGRAM, "verify", *options, "/file"]
        anything = dagger.ReturnType.ANY
        codes = [await container.with_exec([*command, name], expect=anything).exit_code() for name in references]
    return [code == 0 for code in codes]


def printed(calls: Sequence[subprocess.CompletedProcess[str]]) -> bytes:
    """All that calls printed."""
    return "".join(text for call in calls for text in (call.stdout, call.stderr)).encode()


def publish(*arguments: str) -> list[str]:
    """The command that publishes the tiny image."""
    config = ["--docker-config", f"file:{docker_config()}"]
    return ["-vvv", "publish", "--tag", "v2026.2.0", "--commit", COMMIT, "--image", "tiny", *config, *arguments]


async def test_a_signed_image_is_accepted_and_no_other(tmp_path: Path) -> None:
    """One signature is good in registries of both kinds, for cosign and for `verify`; signing again writes nothing.

    A second signer, whose key has no password, signs beside the first one. Neither another key nor an image without a
    signature is accepted, and neither the private key nor its password is in what was printed or is kept by the
    registries.
    """
    shop = open_shop(tmp_path / "checkout")
    keys, other = await make_keys(tmp_path / "keys", secrets.token_hex(16)), await make_keys(tmp_path / "other", "")
    engine_log = current().log / "engine.log"
    before = engine_log.stat().st_size
    unsigned = shop.checkout.call(*publish())
    assert unsigned.returncode == 0, unsigned.stderr
    digest = digest_of(shop.repositories[0], "latest")
    references = [f"{repository}@{digest}" for repository in shop.repositories]
    assert await cosign_accepts(BY_KEY, keys.public, references) == [False] * 3
    verify = ["verify", "--image", "tiny", "--digest", digest, "--public-key"]
    refused = shop.checkout.refusal(*verify, keys.public)
    assert refused.startswith(f"tiny: {digest} has no signature of --public-key in 3 of 3 repositories (")
    assert f"{shop.repositories[0]}: there is no signature; " in refused

    signed = shop.checkout.call(*publish(*keys.arguments))
    assert signed.returncode == 0, signed.stderr
    assert await cosign_accepts(BY_KEY, keys.public, references) == [True] * 3
    assert await cosign_accepts(BY_KEY, other.public, references) == [False] * 3
    assert [digest_of(repository, "latest") for repository in shop.repositories] == [digest] * 3
    verified = shop.checkout.call(*verify, keys.public)
    assert verified.returncode == 0, verified.stderr
    assert f"tiny is {digest}: it is signed in {', '.join(shop.repositories)}; built here," in verified.stdout
    assert "there is no signature that fits, of 1" in shop.checkout.refusal(*verify, other.public)
    both = shop.checkout.call(*publish(*other.arguments))
    assert both.returncode == 0, both.stderr
    assert await cosign_accepts(BY_KEY, other.public, references) == [True] * 3

    sizes = log_sizes()
    again = shop.checkout.call(*publish(*keys.arguments))
    assert again.returncode == 0, again.stderr
    assert writes(sizes, shop) == []

    with engine_log.open("rb") as log:
        log.seek(before)
        said = log.read()
    output = printed([unsigned, signed, both, again])
    private = (keys.folder / "cosign.key").read_bytes().splitlines()[1]
    for secret in (keys.password.encode(), private):
        assert secret not in output
        assert secret not in said
        assert [place for place, data in stored_blobs(shop) if secret in data] == []


async def test_what_cannot_sign_is_found_before_the_build(tmp_path: Path) -> None:
    """A wrong password, and two ways to sign at once; nothing is built or pushed."""
    shop = open_shop(tmp_path / "checkout")
    write_tiny(shop.checkout)
    shop.checkout.write("tiny/Dockerfile", "this is not built\n")
    keys = await make_keys(tmp_path / "keys", secrets.token_hex(16))
    (keys.folder / "password").write_text("wrong")
    refused = shop.checkout.refusal(*publish(*keys.arguments))
    assert refused.startswith("nothing was pushed, because it cannot be signed: ")
    assert refused.endswith(
        "; check --signing-key with --signing-password, or --identity-token and the services of Sigstore"
    )
    both = shop.checkout.refusal(*publish(*keys.arguments, "--identity-token", f"file:{keys.folder}/password"))
    assert both == "--signing-key and --identity-token are two ways to sign; leave one of them out"
    assert shop.standing() == [{}, {}, {}]
