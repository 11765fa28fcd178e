"""Which Sigstore says who signed and when, where no key does: the public one, or an organisation's own.

Both files are cosign's: a signing config has the addresses of the services to sign with, a trusted root their keys and
certificates. Without them cosign gets those of the public services, and whether they still hold, over the network.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import dagger

from pipeline.config.project_toml import Settings
from pipeline.errors import Code, PipelineError

#: Where containers get these files.
SIGNING_CONFIG: Final = "/signing_config.json"
TRUSTED_ROOT: Final = "/trusted_root.json"


@dataclass(frozen=True)
class Sigstore:
    """A Sigstore by its files; the public one where there are none."""

    signing_config: dagger.File | None = None
    trusted_root: dagger.File | None = None

    @property
    def files(self) -> Mapping[str, dagger.File]:
        """The files by their place in containers."""
        files = {SIGNING_CONFIG: self.signing_config, TRUSTED_ROOT: self.trusted_root}
        return {place: file for place, file in files.items() if file}

    @property
    def options(self) -> list[str]:
        """Where cosign looks when it signs."""
        options = {SIGNING_CONFIG: "--signing-config", TRUSTED_ROOT: "--trusted-root"}
        return [word for place in self.files for word in (options[place], place)]


def find_sigstore(source: dagger.Directory, settings: Settings) -> Sigstore:
    """The Sigstore that ``[tool.pipeline]`` names by its files in a checkout; the public one where it names none."""
    files = [source.file(name) if name else None for name in (settings.signing_config, settings.trusted_root)]
    return Sigstore(*files)


def require_usable(token: str, now: datetime) -> None:
    """Refuse a token that cannot sign: as far as that can be seen without its issuer, which Sigstore asks.

    Args:
        token: a token of OpenID Connect.
        now: the time, with its zone.

    Raises:
        PipelineError: it is something else, or has expired.
    """
    try:
        _, claims, _ = token.strip().split(".")
        said = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        expires = float(said.get("exp", "inf"))
    except (ValueError, AttributeError, TypeError):
        # Without its cause, which may quote the token.
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
