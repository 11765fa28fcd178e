"""Images are signed without a key, by a Sigstore of one's own; cosign itself finds the signature in every registry."""

import re
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

from pipeline.config.settings import SETTINGS
from pipeline.errors import Code
from tests.engine.conftest import ROOT, a_session, answer, failure
from tests.engine.killed import run_and_kill
from tests.engine.publishing import BOTH_KINDS, SPEC, Shop, digest_of, open_shop
from tests.engine.test_signing import TYPES, cosign_accepts, publish
from tests.engine.traces import engine_log_size, found, log_sizes, writes
from tests.sandbox import issuer, sigstore, tools
from tests.sandbox.issuer import IDENTITY, Issuer
from tests.sandbox.machine import Machine
from tests.sandbox.sigstore import Sigstore
from tests.sandbox.state import current

pytestmark = pytest.mark.asyncio

#: Seconds that a token is good for here; GitHub's are for a few minutes.
LASTING: Final = 20
#: The programs of the command for a token.
ON_HOST: Final = {"curl": "/usr/bin/curl", "jq": "/usr/bin/jq"}
#: A probe that takes longer; the image stays as it is.
SLOW: Final = f"""
[[probes.commands]]
command = ["sleep", "{LASTING + 2}"]
"""

#: A test that is killed while it has a Sigstore, in the folder that it is given.
STANDING = """
import sys, time
from pathlib import Path
from tests.sandbox import sigstore
with sigstore.standing(Path(sys.argv[1])):
    print("up", flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sigstore]:
    """A Sigstore that runs for the tests of this module."""
    with sigstore.standing(tmp_path_factory.mktemp("sigstore")) as standing:
        yield standing


def open_signed_shop(folder: Path, own: Sigstore) -> Shop:
    """A checkout that names a Sigstore of its own."""
    shop = open_shop(folder, hosts=BOTH_KINDS)
    shop.checkout.write("sigstore/signing_config.json", own.signing_config.read_text())
    shop.checkout.write("sigstore/trusted_root.json", own.trusted_root.read_text())
    shop.checkout.set(signing_config="sigstore/signing_config.json", trusted_root="sigstore/trusted_root.json")
    return shop


def who(issuer: str, identity: str = IDENTITY) -> dict[str, str]:
    """The signer's identity, by option of cosign's and ours."""
    return {"certificate_identity": identity, "certificate_oidc_issuer": issuer}


def words(options: Mapping[str, str]) -> list[str]:
    """The same as they are typed."""
    return [word for option, value in options.items() for word in (f"--{option.replace('_', '-')}", value)]


def in_github() -> str:
    """The command for a token in a job of GitHub's, in the words of the documentation."""
    documented = (ROOT / "docs/attestations.md").read_text()
    command = re.search(r"GET_TOKEN: >-\n(.*?)\n +run:", documented, re.DOTALL)
    assert command
    return "cmd:" + " ".join(command[1].split())


# The first one of the module, as there is one Sigstore at a time.
async def test_a_sigstore_of_a_test_that_was_killed_makes_room_for_another(tmp_path: Path) -> None:
    """All of its processes are ended, and none stays behind in the end."""
    assert run_and_kill(STANDING, str(tmp_path / "first")) == "up"
    ports = (sigstore.ISSUER, sigstore.FULCIO, sigstore.CT_LOG, sigstore.REKOR, sigstore.TIMESTAMPS)
    machine = Machine(current())
    with sigstore.standing(tmp_path / "second") as standing:
        assert standing.trusted_root.stat().st_size > 0
    assert [machine.listens(sigstore.HOST.address, port) for port in ports] == [False] * 5


async def test_an_image_that_is_signed_without_a_key_is_accepted(
    tmp_path: Path, own: Sigstore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signature is good in registries of both kinds, for cosign and for `verify`, and for nobody else's name.

    The token comes from the command for GitHub's jobs, and is new when the image has been tested: the first one has
    expired by then. Publishing again writes nothing, the image is the one that it is without a signature, and neither
    a token nor the right to get one is in what was printed or is kept by the registries.
    """
    shop = open_signed_shop(tmp_path / "checkout", own)
    before = engine_log_size()
    digest = await shop.digest_built()
    shop.checkout.write("tiny/image.toml", SPEC + SLOW)
    tools.install_packages(tmp_path / "apt.log", print, ON_HOST)
    right = secrets.token_hex(16)
    by, token = who(own.issuer.url), {"identity_token": in_github()}
    with issuer.runner(own.issuer, right, LASTING) as runner:
        for name, value in runner.environment.items():
            monkeypatch.setenv(name, value)
        signed = shop.checkout.call(*publish(shop, token, *words(by)))
        assert signed.returncode == 0, signed.stderr
        assert len(runner.tokens) > 1
        sizes = log_sizes()
        assert (await shop.publish(typed=token, **by)).results() == {"already there"}
        assert writes(sizes, shop) == []
    references = [f"{repository}@{digest}" for repository in shop.repositories]
    root = str(own.trusted_root)
    assert await cosign_accepts([*words(by), "--trusted-root"], root, references) == [True] * 2
    assert await cosign_accepts([*words(by), "--trusted-root"], root, references, TYPES) == [True] * 2
    assert await cosign_accepts([*words(who(own.issuer.url, "me")), "--trusted-root"], root, references) == [False] * 2
    assert [digest_of(repository, "latest") for repository in shop.repositories] == [digest] * 2

    async with a_session():
        verified = await answer(shop.checkout, "verify", None, image="tiny", digest=digest, **by)
        signed_in = f"it is signed with its SBOMs and its provenance in {', '.join(shop.repositories)}"
        assert f"tiny is {digest}: {signed_in}; built here," in verified
        for other, reason in (
            (who(own.issuer.url, "me"), "there is no signature that fits, of 1: failed to verify certificate identity"),
            (who("https://issuer.example"), f'got "{own.issuer.url}"'),
        ):
            refused = await failure(shop.checkout, "verify", None, image="tiny", digest=digest, **other)
            assert refused.code is Code.SIGNATURE_MISSING
            identity, oidc = other.values()
            assert f"is not signed by {identity} (OIDC issuer {oidc}), with its SBOMs" in refused.message
            assert reason in refused.message

    parts = [right.encode(), *(token.rpartition(".")[2].encode() for token in runner.tokens)]
    assert found(parts, shop, signed.stdout + signed.stderr, before) == []


async def test_what_cannot_sign_without_a_key_is_found_before_the_build(tmp_path: Path, own: Sigstore) -> None:
    """A token that has expired, a command that gives none, a file that is not there; nothing is built or pushed."""
    shop = open_signed_shop(tmp_path / "checkout", own)
    shop.checkout.write("tiny/Dockerfile", "this is not built\n")
    token = tmp_path / "token"
    token.write_text(own.issuer.token(seconds=-1))
    expired, failing = {"identity_token": f"file:{token}"}, {"identity_token": "cmd:exit 7"}
    refused = await shop.refusal(typed=expired, **who(own.issuer.url))
    assert refused.message.startswith("--identity-token expired at 2")
    refused = await shop.refusal(typed=failing, **who(own.issuer.url))
    assert refused.message.startswith("--identity-token cannot be read: ")
    (shop.checkout.path / "sigstore/trusted_root.json").unlink()
    refused = await shop.refusal(typed=expired, **who(own.issuer.url))
    assert "key 'trusted_root': there is no file 'sigstore/trusted_root.json' in " in refused.message
    assert shop.standing() == [{}, {}]


async def test_a_signature_by_somebody_else_is_not_pushed(tmp_path: Path, own: Sigstore) -> None:
    """A token by another issuer's key gives none; one that names another one, or is another issuer's, a wrong one."""
    shop = open_signed_shop(tmp_path / "checkout", own)
    token = tmp_path / "token"
    typed = {"identity_token": f"file:{token}"}
    token.write_text(Issuer(own.issuer.url).token())
    refused = await shop.refusal(typed=typed, **who(own.issuer.url))
    assert refused.code is Code.SIGNING_FAILED
    taken = "nothing was pushed, because it cannot be signed: Fulcio does not take --identity-token"
    assert refused.message.startswith(taken)
    token.write_text(own.issuer.token())
    for by, expected in (
        (who(own.issuer.url, "me"), f'expected SAN value "me", got "{IDENTITY}"'),
        (who("https://issuer.example"), f'expected issuer value "https://issuer.example", got "{own.issuer.url}"'),
    ):
        refused = await shop.refusal(typed=typed, **by)
        assert refused.message.startswith("nothing was pushed, because its signature does not verify for ")
        assert expected in refused.message
        assert refused.message.endswith(
            f"; correct --certificate-identity, --certificate-oidc-issuer or 'trusted_root' of {SETTINGS}"
        )
    assert shop.standing() == [{}, {}]


async def test_nothing_is_pushed_where_the_public_services_cannot_be_reached(tmp_path: Path) -> None:
    """The sandbox has none of them; that is reported, and no registry has got anything."""
    shop = open_shop(tmp_path / "checkout", hosts=BOTH_KINDS)
    token = tmp_path / "token"
    token.write_text(Issuer("https://issuer.example").token())
    by = who("https://issuer.example", "me")
    refused = await shop.refusal(typed={"identity_token": f"file:{token}"}, **by)
    assert refused.message.startswith("nothing was pushed, because it cannot be signed: ")
    assert "TUF" in refused.message
    assert shop.standing() == [{}, {}]
