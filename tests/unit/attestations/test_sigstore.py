"""A Sigstore of one's own, and the token that it is given."""

from datetime import UTC, datetime
from unittest.mock import Mock

import dagger
import pytest

from pipeline.attestations.sigstore import Sigstore, require_usable
from pipeline.errors import Code
from tests.sandbox.issuer import Issuer
from tests.unit.refusals import refused

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_the_public_sigstore_needs_no_files() -> None:
    """cosign knows where it is."""
    assert (Sigstore().options, Sigstore().files) == ([], {})


def test_each_file_is_named_where_there_is_one() -> None:
    """One without the other is fine: services of one's own choice among the public ones, or keys that are kept."""
    config, root = Mock(spec=dagger.File), Mock(spec=dagger.File)
    assert Sigstore(config, root).options == [
        *("--signing-config", "/signing_config.json", "--trusted-root", "/trusted_root.json")
    ]
    assert Sigstore(None, root).options == ["--trusted-root", "/trusted_root.json"]
    assert Sigstore(config).files == {"/signing_config.json": config}


def test_a_token_that_is_good_is_taken() -> None:
    """With the end of a line, as commands print it, and without a time at which it expires."""
    issuer = Issuer("https://issuer.example")
    now = datetime.now(UTC)
    require_usable(issuer.token(), now)
    require_usable(f"{issuer.token()}\n", now)
    require_usable("e30.e30.c2ln", now)


def test_a_token_that_has_expired_is_refused() -> None:
    """The message has the time; times that no calendar has are no surprise."""
    token = Issuer("https://issuer.example").token
    with refused(Code.IDENTITY_TOKEN_INVALID, "--identity-token expired at 2026-01-02T03:04:05+00:00", "cmd:COMMAND"):
        require_usable(token(exp=NOW.timestamp()), NOW)
    with refused(Code.IDENTITY_TOKEN_INVALID, "expired at 1970-01-01T00:00:00+00:00"):
        require_usable(token(exp=-1e20), NOW)


@pytest.mark.parametrize(
    "token",
    ["", "secret", "secret.secret.secret", "e30.W10.c2ln", "e30.bnVsbA.x", "e30.eyJleHAiOiAibm93In0.x", "a.b.c.d"],
)
def test_what_is_no_token_is_refused_and_not_quoted(token: str) -> None:
    """A password that was given instead is in no message, and in no traceback either."""
    with refused(Code.IDENTITY_TOKEN_INVALID, "--identity-token", "OpenID Connect", "JWT") as raised:
        require_usable(token, NOW)
    assert "secret" not in raised.value.message
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__
