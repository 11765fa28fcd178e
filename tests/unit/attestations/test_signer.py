"""Options of the signer to require, and of the means to sign."""

from unittest.mock import Mock

import dagger
import pytest

from pipeline.attestations.signer import Signer, Signing, choose_signer, choose_signing
from pipeline.errors import Code
from tests.unit.refusals import refused

KEY, PASSWORD, TOKEN = (Mock(spec=dagger.Secret) for _ in range(3))
PUBLIC = Mock(spec=dagger.File)
DIGEST = f"sha256:{'1' * 64}"
SBOM = "https://spdx.dev/Document"
ME, ISSUER = "https://github.com/maniaclab/x/.github/workflows/images.yml@refs/heads/main", "https://issuer.example"


def test_a_signature_is_looked_at_by_key_or_by_identity() -> None:
    """Both name the image; a signature by key alone has no entry in a log that could be looked up."""
    key = Signer(PUBLIC).check(SBOM, DIGEST)
    keyless = Signer(identity=ME, issuer=ISSUER).check(SBOM, DIGEST)
    for command in (key, keyless):
        assert command[command.index("--digest") + 1] == "1" * 64
        assert command[command.index("--type") + 1] == SBOM
        assert command[-1] == "--bundle"
    assert {"--key", "--insecure-ignore-tlog"} <= set(key)
    assert not {"--key", "--insecure-ignore-tlog"} & set(keyless)
    assert keyless[keyless.index("--certificate-identity") + 1] == ME


def test_a_sigstore_of_one_s_own_is_believed_without_a_key_alone() -> None:
    """It says nothing of a signature by a key."""
    root = Mock(spec=dagger.File)
    keyless = Signer(identity=ME, issuer=ISSUER, trusted_root=root)
    command = keyless.check(SBOM, DIGEST)
    assert command[command.index("--trusted-root") + 1] == "/trusted_root.json"
    assert keyless.files == {"/trusted_root.json": root}
    key = Signer(PUBLIC, trusted_root=root)
    assert "--trusted-root" not in key.check(SBOM, DIGEST)
    assert key.files == {"/cosign.pub": PUBLIC}


def test_what_fits_together_signs() -> None:
    """A key with or without a password, or a token with what its signatures are known by; nothing signs nothing."""
    assert choose_signing(None, None, None, None, None) is None
    assert choose_signing(KEY, None, None, None, None) == Signing(KEY)
    assert choose_signing(KEY, PASSWORD, None, None, None) == Signing(KEY, PASSWORD)
    assert choose_signing(None, None, TOKEN, ME, ISSUER) == Signing(token=TOKEN, identity=ME, issuer=ISSUER)
    assert choose_signer(None, None, None) is None
    assert choose_signer(PUBLIC, None, None) == Signer(PUBLIC)
    assert choose_signer(None, ME, ISSUER) == Signer(identity=ME, issuer=ISSUER)


@pytest.mark.parametrize(
    ("given", "facts"),
    [
        ((KEY, None, TOKEN, ME, ISSUER), ["--signing-key and --identity-token", "leave one"]),
        ((None, PASSWORD, None, None, None), ["--signing-password needs --signing-key"]),
        (
            (None, None, TOKEN, ME, None),
            ["--identity-token needs --certificate-identity and --certificate-oidc-issuer", "give both"],
        ),
        (
            (KEY, None, None, ME, ISSUER),
            ["--certificate-identity and --certificate-oidc-issuer", "give --identity-token"],
        ),
    ],
)
def test_options_that_do_not_fit_together_are_refused(
    given: tuple[dagger.Secret | None, ...], facts: list[str]
) -> None:
    """The message names them, before anything is built."""
    with refused(Code.OPTION_CONFLICT, *facts):
        choose_signing(*given)  # type: ignore[arg-type]  # a table of cases


@pytest.mark.parametrize(
    ("given", "facts"),
    [
        ((PUBLIC, ME, ISSUER), ["--public-key and --certificate-identity", "leave one"]),
        ((None, ME, None), ["--certificate-identity and --certificate-oidc-issuer", "give both"]),
        ((None, None, ISSUER), ["--certificate-identity and --certificate-oidc-issuer", "give both"]),
    ],
)
def test_whose_signature_it_shall_be_has_to_be_clear(
    given: tuple[dagger.File | None, str | None, str | None], facts: list[str]
) -> None:
    """Half an identity would be anybody's."""
    with refused(Code.OPTION_CONFLICT, *facts):
        choose_signer(*given)
