"""Signer to require and means to sign, from the options of the commands."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import dagger

from pipeline.attestations.sigstore import TRUSTED_ROOT, Sigstore
from pipeline.errors import Code, PipelineError

#: Path of cosign in the containers of this module.
PROGRAM: Final = "/usr/local/bin/cosign"
#: Path of the public key in containers that verify signatures.
PUBLIC_KEY: Final = "/cosign.pub"


@dataclass(frozen=True)
class Signer:
    """Signer to require: the owner of a key pair, or an identity at an OIDC issuer."""

    public_key: dagger.File | None = None
    identity: str = ""
    issuer: str = ""
    trusted_root: dagger.File | None = None
    """The trusted root of the Sigstore that accepts the issuer; None for the public one."""

    @property
    def files(self) -> Mapping[str, dagger.File]:
        """Files that :meth:`check` needs, by their paths in the container."""
        files = {PUBLIC_KEY: self.public_key, TRUSTED_ROOT: None if self.public_key else self.trusted_root}
        return {path: file for path, file in files.items() if file}

    def check(self, predicate_type: str, digest: str) -> list[str]:
        """Return the command that accepts a file with a statement about an image that the signer has signed.

        Args:
            predicate_type: type of the statement.
            digest: the image's digest.
        """
        signer = ["--certificate-identity", self.identity, "--certificate-oidc-issuer", self.issuer]
        if self.public_key:
            signer = ["--key", PUBLIC_KEY, "--insecure-ignore-tlog"]
        elif self.trusted_root:
            signer += ["--trusted-root", TRUSTED_ROOT]
        digest = digest.removeprefix("sha256:")
        subject = ["--type", predicate_type, "--digestAlg", "sha256", "--digest", digest]
        return [PROGRAM, "verify-blob-attestation", *signer, *subject, "--bundle"]

    def __str__(self) -> str:
        return "--public-key" if self.public_key else f"{self.identity} (OIDC issuer {self.issuer})"


@dataclass(frozen=True)
class Signing:
    """Means to sign: a private key, or an identity token."""

    key: dagger.Secret | None = None
    password: dagger.Secret | None = None
    token: dagger.Secret | None = None
    identity: str = ""
    issuer: str = ""
    sigstore: Sigstore = field(default_factory=Sigstore)
    """The services that certify the identity, without a key."""


def choose_signing(
    key: dagger.Secret | None,
    password: dagger.Secret | None,
    token: dagger.Secret | None,
    identity: str | None,
    issuer: str | None,
) -> Signing | None:
    """Return the means to sign, from the options of the command; None without any.

    Raises:
        PipelineError: the options do not fit together.
    """
    if key and token:
        raise PipelineError(
            Code.OPTION_CONFLICT, "--signing-key and --identity-token are two ways to sign; leave one of them out"
        )
    if password and not key:
        raise PipelineError(Code.OPTION_CONFLICT, "--signing-password needs --signing-key; give both, or leave it out")
    if token and not (identity and issuer):
        raise PipelineError(
            Code.OPTION_CONFLICT,
            "--identity-token needs --certificate-identity and --certificate-oidc-issuer, by which its signatures are "
            "verified; give both",
        )
    if (identity or issuer) and not token:
        raise PipelineError(
            Code.OPTION_CONFLICT,
            "--certificate-identity and --certificate-oidc-issuer sign nothing; give --identity-token",
        )
    return Signing(key, password, token, identity or "", issuer or "") if key or token else None


def choose_signer(public_key: dagger.File | None, identity: str | None, issuer: str | None) -> Signer | None:
    """Return the signer to require, from the options of the command; None without any.

    Raises:
        PipelineError: the options do not fit together.
    """
    if public_key and (identity or issuer):
        raise PipelineError(
            Code.OPTION_CONFLICT, "--public-key and --certificate-identity are two signers; leave one of them out"
        )
    if bool(identity) != bool(issuer):
        raise PipelineError(
            Code.OPTION_CONFLICT, "--certificate-identity and --certificate-oidc-issuer belong together; give both"
        )
    return Signer(public_key, identity or "", issuer or "") if public_key or identity else None
