"""Images are signed without a key, by a Sigstore of one's own; cosign itself finds the signature in every registry."""

import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.engine.conftest import ROOT
from tests.engine.publishing import SPEC, Shop, digest_of, open_shop
from tests.engine.test_publish import log_sizes, stored_blobs, writes
from tests.engine.test_signing import cosign_accepts, printed, publish
from tests.sandbox import issuer, sigstore, tools
from tests.sandbox.issuer import IDENTITY, Issuer
from tests.sandbox.sigstore import Sigstore
from tests.sandbox.state import current

pytestmark = pytest.mark.asyncio

#: Seconds that a token is good for here; GitHub's are for a few minutes.
LASTING: Final = 20
#: What the command for a token is made of.
ON_HOST: Final = {"curl": "/usr/bin/curl", "jq": "/usr/bin/jq"}
#: A probe that takes longer; the image stays as it is.
SLOW: Final = f"""
[[probes.commands]]
command = ["sleep", "{LASTING + 2}"]
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sigstore]:
    """A Sigstore that runs for the tests of this module."""
    with sigstore.standing(tmp_path_factory.mktemp("sigstore")) as standing:
        yield standing


def open_signed_shop(folder: Path, own: Sigstore) -> Shop:
    """A checkout that names a Sigstore of its own."""
    shop = open_shop(folder)
    shop.checkout.write("sigstore/signing_config.json", own.signing_config.read_text())
    shop.checkout.write("sigstore/trusted_root.json", own.trusted_root.read_text())
    shop.checkout.set(signing_config="sigstore/signing_config.json", trusted_root="sigstore/trusted_root.json")
    return shop


def who(issuer: str, identity: str = IDENTITY) -> list[str]:
    """Whose signature it is, as arguments of cosign's and ours."""
    return ["--certificate-identity", identity, "--certificate-oidc-issuer", issuer]


def in_github() -> list[str]:
    """What gives a token in a job of GitHub's, in the words of the documentation."""
    documented = (ROOT / "docs/attestations.md").read_text()
    found = re.search(r"GET_TOKEN: >-\n(.*?)\n +run:", documented, re.DOTALL)
    assert found
    return ["--identity-token", "cmd:" + " ".join(found[1].split())]


async def test_an_image_that_is_signed_without_a_key_is_accepted(
    tmp_path: Path, own: Sigstore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signature is good in registries of both kinds, for cosign and for `verify`, and for nobody else's name.

    The token comes from the command for GitHub's jobs, and is new when the image has been tested: the first one has
    expired by then. Publishing again writes nothing, the image is the one that it was without a signature, and neither
    a token nor the right to get one is in what was printed or is kept by the registries.
    """
    shop = open_signed_shop(tmp_path / "checkout", own)
    engine_log = current().log / "engine.log"
    before = engine_log.stat().st_size
    unsigned = shop.checkout.call(*publish())
    assert unsigned.returncode == 0, unsigned.stderr
    digest = digest_of(shop.repositories[0], "latest")
    references = [f"{repository}@{digest}" for repository in shop.repositories]
    known, root = [*who(own.issuer.url), "--trusted-root"], str(own.trusted_root)
    assert await cosign_accepts(known, root, references) == [False] * 3

    shop.checkout.write("tiny/image.toml", SPEC + SLOW)
    tools.install_packages(tmp_path / "apt.log", print, ON_HOST)
    right = secrets.token_hex(16)
    with issuer.runner(own.issuer, right, LASTING) as runner:
        for name, value in runner.environment.items():
            monkeypatch.setenv(name, value)
        signed = shop.checkout.call(*publish(*in_github(), *who(own.issuer.url)))
        assert signed.returncode == 0, signed.stderr
        sizes = log_sizes()
        again = shop.checkout.call(*publish(*in_github(), *who(own.issuer.url)))
        assert again.returncode == 0, again.stderr
        assert writes(sizes, shop) == []
    assert await cosign_accepts(known, root, references) == [True] * 3
    assert await cosign_accepts([*who(own.issuer.url, "me"), "--trusted-root"], root, references) == [False] * 3
    assert [digest_of(repository, "latest") for repository in shop.repositories] == [digest] * 3

    verify = ["verify", "--image", "tiny", "--digest", digest]
    verified = shop.checkout.call(*verify, *who(own.issuer.url))
    assert verified.returncode == 0, verified.stderr
    assert f"tiny is {digest}: it is signed in {', '.join(shop.repositories)}; built here," in verified.stdout
    refused = shop.checkout.refusal(*verify, *who(own.issuer.url, "me"))
    assert f"{digest} has no signature of me (OIDC issuer {own.issuer.url}) in 3 of 3 repositories (" in refused
    assert "there is no signature that fits, of 1: failed to verify certificate identity" in refused
    refused = shop.checkout.refusal(*verify, *who("https://issuer.example"))
    assert f"has no signature of {IDENTITY} (OIDC issuer https://issuer.example) in 3 of 3 repositories" in refused
    assert f'got "{own.issuer.url}"' in refused

    with engine_log.open("rb") as log:
        log.seek(before)
        said = log.read()
    output = printed([unsigned, signed, again])
    assert len(runner.tokens) > 1
    parts = [right.encode(), *(token.rpartition(".")[2].encode() for token in runner.tokens)]
    assert [part for part in parts if part in output or part in said] == []
    assert [place for place, data in stored_blobs(shop) if any(part in data for part in parts)] == []


async def test_what_cannot_sign_without_a_key_is_found_before_the_build(tmp_path: Path, own: Sigstore) -> None:
    """A token that has expired, a command that gives none, a file that is not there; nothing is built or pushed."""
    shop = open_signed_shop(tmp_path / "checkout", own)
    shop.checkout.write("tiny/Dockerfile", "this is not built\n")
    token = tmp_path / "token"
    token.write_text(own.issuer.token(seconds=-1))
    command = publish("--identity-token", f"file:{token}", *who(own.issuer.url))
    assert shop.checkout.refusal(*command).startswith("--identity-token expired at 2")
    failing = publish("--identity-token", "cmd:exit 7", *who(own.issuer.url))
    assert shop.checkout.refusal(*failing).startswith("--identity-token cannot be read: ")
    (shop.checkout.path / "sigstore/trusted_root.json").unlink()
    refused = shop.checkout.refusal(*command)
    assert "key 'trusted_root': there is no file 'sigstore/trusted_root.json' in " in refused
    assert shop.standing() == [{}, {}, {}]


async def test_a_signature_by_somebody_else_is_not_pushed(tmp_path: Path, own: Sigstore) -> None:
    """A token by another issuer's key gives none; one that names another one, or is another issuer's, a wrong one."""
    shop = open_signed_shop(tmp_path / "checkout", own)
    token = tmp_path / "token"

    def refusal(*by: str) -> str:
        return shop.checkout.refusal(*publish("--identity-token", f"file:{token}", *by))

    token.write_text(Issuer(own.issuer.url).token())
    refused = refusal(*who(own.issuer.url))
    assert refused.startswith("nothing was pushed, because it cannot be signed: Fulcio does not take --identity-token")
    token.write_text(own.issuer.token())
    for by, found in (
        (who(own.issuer.url, "me"), f'expected SAN value "me", got "{IDENTITY}"'),
        (who("https://issuer.example"), f'expected issuer value "https://issuer.example", got "{own.issuer.url}"'),
    ):
        refused = refusal(*by)
        assert refused.startswith("nothing was pushed, because its signature does not verify for ")
        assert found in refused
        assert refused.endswith(
            "; correct --certificate-identity, --certificate-oidc-issuer or 'trusted_root' of [tool.pipeline]"
        )
    assert shop.standing() == [{}, {}, {}]


async def test_nothing_is_pushed_where_the_public_services_cannot_be_reached(tmp_path: Path) -> None:
    """The sandbox has none of them; that is told, and no registry has got anything."""
    shop = open_shop(tmp_path / "checkout")
    token = tmp_path / "token"
    token.write_text(Issuer("https://issuer.example").token())
    refused = shop.checkout.refusal(*publish("--identity-token", f"file:{token}", *who("https://issuer.example", "me")))
    assert refused.startswith("nothing was pushed, because it cannot be signed: ")
    assert "TUF" in refused
    assert shop.standing() == [{}, {}, {}]
