"""Images are signed with a key, and cosign itself finds the signature in every registry."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import dagger
import pytest
from dagger import dag

from pipeline.attestations.signer import PROGRAM
from pipeline.attestations.signing import cosign
from pipeline.config.settings import Settings
from pipeline.errors import Code, PipelineError
from tests.engine.conftest import a_session, answer, failure
from tests.engine.publishing import BOTH_KINDS, COMMIT, Shop, digest_of, docker_config, open_shop
from tests.engine.traces import engine_log_size, found, log_sizes, writes

pytestmark = pytest.mark.asyncio

#: Runs a command for each of the names in a variable, and prints whether it succeeded.
ACCEPTS: Final = ("sh", "-c", 'for name in $NAMES; do "$@" "$name" >&2 && echo yes || echo no; done', "sh")
#: The same with each type of a signed document, all of which it has to accept.
ACCEPTS_ALL: Final = (
    "sh",
    "-c",
    'for name in $NAMES; do accepted=yes; for type in $TYPES; do "$@" --type "$type" "$name" >&2 || accepted=no; done; '
    "echo $accepted; done",
    "sh",
)
#: Names of cosign for the types of provenance and SBOMs.
TYPES: Final = ("slsaprovenance1", "cyclonedx", "spdxjson")
BY_KEY: Final = ("--insecure-ignore-tlog", "--key")


@dataclass(frozen=True)
class Keys:
    """A pair of keys, and the password of the private one."""

    folder: Path
    password: str

    @property
    def typed(self) -> dict[str, str]:
        """The options to sign with them."""
        password = {"signing_password": f"file:{self.folder}/password"} if self.password else {}
        return {"signing_key": f"file:{self.folder}/cosign.key", **password}

    @property
    def public(self) -> str:
        """The public key, as an argument."""
        return f"{self.folder}/cosign.pub"


async def make_keys(folder: Path, passwords: Sequence[str]) -> list[Keys]:
    """New keys for each of these passwords, made by cosign."""
    made = [Keys(folder / str(number), password) for number, password in enumerate(passwords)]
    async with a_session():
        for keys in made:
            container = cosign_container().with_env_variable("COSIGN_PASSWORD", keys.password)
            await container.with_exec([PROGRAM, "generate-key-pair"]).directory("/made").export(str(keys.folder))
            (keys.folder / "password").write_text(keys.password)
    return made


def cosign_container() -> dagger.Container:
    """A container with cosign."""
    settings = Settings()
    container = dag.container().from_(settings.fetch_base).with_mounted_file(PROGRAM, cosign(settings))
    # Another one each time: the engine must not remember cosign's output.
    return container.with_workdir("/made").with_env_variable("WAY", secrets.token_hex(4))


async def cosign_accepts(
    options: Sequence[str], file: str, references: Sequence[str], types: Sequence[str] = ()
) -> list[bool]:
    """Which images cosign finds signed, each looked up in its registry.

    It calls Docker Hub by a name that the sandbox does not play, unless it is given another one.

    Args:
        options: who has to have signed it; the last one is followed by a file.
        file: that file's path on this machine.
        references: the images.
        types: documents that have to be signed, too; without any, the image itself.
    """
    references = [name.replace("docker.io/", "registry-1.docker.io/") for name in references]
    command = [*ACCEPTS, PROGRAM, "verify", *options, "/file"]
    if types:
        command = [*ACCEPTS_ALL, PROGRAM, "verify-attestation", "--new-bundle-format", *options, "/file"]
    async with a_session():
        container = cosign_container().with_mounted_file("/file", dag.host().file(file))
        container = container.with_env_variable("NAMES", " ".join(references))
        container = container.with_env_variable("TYPES", " ".join(types))
        answers = (await container.with_exec(command).stdout()).split()
    assert len(answers) == len(references)
    return [answer == "yes" for answer in answers]


def publish(shop: Shop, typed: Mapping[str, str], *arguments: str) -> list[str]:
    """The command that publishes the tiny image with secrets, by option."""
    given = [f"--registries={registry}" for registry in shop.registries]
    typed = {"docker_config": f"file:{docker_config()}", **typed}
    words = [word for option, uri in typed.items() for word in (f"--{option.replace('_', '-')}", uri)]
    return ["-vvv", "publish", "--tag", "v2026.2.0", "--commit", COMMIT, "--image", "tiny", *given, *words, *arguments]


async def test_a_signed_image_is_accepted_and_no_other(tmp_path: Path) -> None:
    """One signature is good in registries of both kinds, for cosign and for `verify`; signing again writes nothing.

    So are those of SBOMs and provenance, which are attached as they are beside them.

    A second signer, whose key has no password, signs beside the first one. Neither another key nor an image without a
    signature is accepted, and neither the private key nor its password is in what was printed or is kept by the
    registries.
    """
    shop = open_shop(tmp_path / "checkout", hosts=BOTH_KINDS)
    keys, other = await make_keys(tmp_path / "keys", [secrets.token_hex(16), ""])
    before = engine_log_size()
    assert (await shop.publish()).failure == ""
    digest = digest_of(shop.repositories[0], "latest")
    references = [f"{repository}@{digest}" for repository in shop.repositories]
    assert await cosign_accepts(BY_KEY, keys.public, references) == [False] * 2
    refused = await refusal(shop, digest, keys)
    assert refused.code is Code.SIGNATURE_MISSING
    unsigned = "is not signed by --public-key, with its SBOMs and its provenance, in 2 of 2 repositories ("
    assert refused.message.startswith(f"tiny: {digest} {unsigned}")
    assert f"{shop.repositories[0]}: there is no signature; " in refused.message

    signed = shop.checkout.call(*publish(shop, keys.typed))
    assert signed.returncode == 0, signed.stderr
    assert await cosign_accepts(BY_KEY, keys.public, references) == [True] * 2
    assert await cosign_accepts(BY_KEY, keys.public, references, TYPES) == [True] * 2
    assert await cosign_accepts(BY_KEY, other.public, references) == [False] * 2
    assert [digest_of(repository, "latest") for repository in shop.repositories] == [digest] * 2
    async with a_session():
        key = dag.host().file(keys.public)
        verified = await answer(shop.checkout, "verify", image="tiny", digest=digest, public_key=key)
    signed_in = f"it is signed with its SBOMs and its provenance in {', '.join(shop.repositories)}"
    assert f"tiny is {digest}: {signed_in}; built here," in verified
    assert "there is no signature that fits, of 1" in (await refusal(shop, digest, other)).message
    assert (await shop.publish(typed=other.typed)).failure == ""
    assert await cosign_accepts(BY_KEY, other.public, references) == [True] * 2

    sizes = log_sizes()
    assert (await shop.publish(typed=keys.typed)).results() == {"already there"}
    assert writes(sizes, shop) == []

    private = (keys.folder / "cosign.key").read_bytes().splitlines()[1]
    assert found([keys.password.encode(), private], shop, signed.stdout + signed.stderr, before) == []


async def refusal(shop: Shop, digest: str, keys: Keys) -> PipelineError:
    """The error of `verify` for the tiny image, where it has to have a signature by these keys."""
    async with a_session():
        key = dag.host().file(keys.public)
        return await failure(shop.checkout, "verify", image="tiny", digest=digest, public_key=key)


async def test_what_cannot_sign_is_found_before_the_build(tmp_path: Path) -> None:
    """A wrong password, and two ways to sign at once; nothing is built or pushed."""
    shop = open_shop(tmp_path / "checkout", hosts=BOTH_KINDS)
    shop.checkout.write("tiny/Dockerfile", "this is not built\n")
    (keys,) = await make_keys(tmp_path / "keys", [secrets.token_hex(16)])
    (keys.folder / "password").write_text("wrong")
    refused = await shop.refusal(typed=keys.typed)
    assert refused.code is Code.SIGNING_FAILED
    assert refused.message.startswith("nothing was pushed, because it cannot be signed: ")
    assert refused.message.endswith(
        "; check --signing-key with --signing-password, or --identity-token and the services of Sigstore"
    )
    both = await shop.refusal(typed={**keys.typed, "identity_token": f"file:{keys.folder}/password"})
    assert both.message == "--signing-key and --identity-token are two ways to sign; leave one of them out"
    assert shop.standing() == [{}, {}]
