"""Sigstore instance that certifies keyless signatures: the public one, or an organisation's own.

Both files are cosign's: a signing config has the addresses of the services to sign with, a trusted root their keys and
certificates. Without them cosign gets the current ones of the public services over the network.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import dagger

from pipeline.config.settings import Settings
from pipeline.errors import Code, PipelineError

#: Paths of these files in containers.
SIGNING_CONFIG: Final = "/signing_config.json"
TRUSTED_ROOT: Final = "/trusted_root.json"


@dataclass(frozen=True)
class Sigstore:
    """A Sigstore instance by its files; the public one without files."""

    signing_config: dagger.File | None = None
    trusted_root: dagger.File | None = None

    @property
    def files(self) -> Mapping[str, dagger.File]:
        """The files by their paths in containers."""
        files = {SIGNING_CONFIG: self.signing_config, TRUSTED_ROOT: self.trusted_root}
        return {path: file for path, file in files.items() if file}

    @property
    def options(self) -> list[str]:
        """Options of cosign for signing with these files."""
        options = {SIGNING_CONFIG: "--signing-config", TRUSTED_ROOT: "--trusted-root"}
        return [word for path in self.files for word in (options[path], path)]


def find_sigstore(source: dagger.Directory, settings: Settings) -> Sigstore:
    """Return the Sigstore whose files ``[tool.pipeline]`` names in a checkout; the public one if it names none."""
    files = [source.file(name) if name else None for name in (settings.signing_config, settings.trusted_root)]
    return Sigstore(*files)


def require_usable(token: str, now: datetime) -> None:
    """Reject a malformed or expired token; Sigstore verifies the rest with the token's issuer.

    Args:
        token: an OpenID Connect token.
        now: the current time, with its time zone.

    Raises:
        PipelineError: the token is not a JWT, or has expired.
    """
    try:
        _, payload, _ = token.strip().split(".")
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        expires = float(claims.get("exp", "inf"))
    except (ValueError, AttributeError, TypeError):
        # Without the cause, which may quote the token.
        raise PipelineError(
            Code.IDENTITY_TOKEN_INVALID,
            "--identity-token is not a token of OpenID Connect, which has three parts with dots between them (a JWT); "
            "name the file, variable or command that gives one",
        ) from None
    if expires <= now.timestamp():
        ended = datetime.fromtimestamp(max(expires, 0), UTC).isoformat(timespec="seconds")
        raise PipelineError(
            Code.IDENTITY_TOKEN_INVALID,
            f"--identity-token expired at {ended}; give a new one, or a command that gets one when it is needed, as "
            "cmd:COMMAND",
        )
