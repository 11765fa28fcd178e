"""Signatures of images by cosign, in the form that cosign itself gives and looks for them: a bundle with a statement.

What is signed is the image's digest and nothing of where it is, so one signature is made and attached everywhere, like
all that is attached. No two signatures have the same bytes: an image that has one that fits gets no other.
"""

import json
from dataclasses import dataclass
from typing import Final

import dagger
from dagger import dag

from pipeline.errors import SigningError
from pipeline.settings import Settings

#: What reports call it.
NAME: Final = "signature"
BUNDLE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
PREDICATE: Final = "https://sigstore.dev/cosign/sign/v1"
#: Those that cosign gives it, but for the time of day.
ANNOTATIONS: Final = {
    "dev.sigstore.bundle.content": "dsse-envelope",
    "dev.sigstore.bundle.predicateType": PREDICATE,
}
#: Where the image of cosign has it, and where containers get it.
IN_IMAGE: Final = "/ko-app/cosign"
PROGRAM: Final = "/usr/local/bin/cosign"
#: Where containers that look at signatures get the public key.
PUBLIC_KEY: Final = "/cosign.pub"
#: The services to sign with a key: none. A transparency log would tell everybody what is signed, and when.
NO_SERVICES: Final = (
    '{"mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json", "rekorTlogConfig": {}, "tsaConfig": {}}'
)


@dataclass(frozen=True)
class Signer:
    """Whose signatures count: who has the private key of a public one, or whom an issuer of tokens knows."""

    public_key: dagger.File | None = None
    identity: str = ""
    issuer: str = ""

    def check(self, digest: str) -> list[str]:
        """The command that accepts a file with a signature of an image by the signer."""
        who = ["--certificate-identity", self.identity, "--certificate-oidc-issuer", self.issuer]
        if self.public_key:
            who = ["--key", PUBLIC_KEY, "--insecure-ignore-tlog"]
        digest = digest.removeprefix("sha256:")
        what = ["--type", PREDICATE, "--digestAlg", "sha256", "--digest", digest]
        return [PROGRAM, "verify-blob-attestation", *who, *what, "--bundle"]

    def __str__(self) -> str:
        return "--public-key" if self.public_key else f"{self.identity}, whom {self.issuer} knows"


@dataclass(frozen=True)
class Signing:
    """What to sign with: a private key, or a token that says who one is."""

    key: dagger.Secret | None = None
    password: dagger.Secret | None = None
    token: dagger.Secret | None = None
    identity: str = ""
    issuer: str = ""


def choose_signing(
    key: dagger.Secret | None,
    password: dagger.Secret | None,
    token: dagger.Secret | None,
    identity: str | None,
    issuer: str | None,
) -> Signing | None:
    """What to sign with, from what a person gave; None where that is nothing.

    Raises:
        SigningError: it does not fit together.
    """
    if key and token:
        raise SigningError("--signing-key and --identity-token are two ways to sign; leave one of them out")
    if password and not key:
        raise SigningError("--signing-password is that of no key; give --signing-key, or leave it out")
    if token and not (identity and issuer):
        raise SigningError(
            "--identity-token needs --certificate-identity and --certificate-oidc-issuer, by which its signatures are "
            "known again; give both"
        )
    if (identity or issuer) and not token:
        raise SigningError("--certificate-identity and --certificate-oidc-issuer sign nothing; give --identity-token")
    return Signing(key, password, token, identity or "", issuer or "") if key or token else None


def choose_signer(public_key: dagger.File | None, identity: str | None, issuer: str | None) -> Signer | None:
    """Whose signatures to look for, from what a person gave; None where that is nothing.

    Raises:
        SigningError: it does not fit together.
    """
    if public_key and (identity or issuer):
        raise SigningError("--public-key and --certificate-identity are two signers; leave one of them out")
    if bool(identity) != bool(issuer):
        raise SigningError("--certificate-identity and --certificate-oidc-issuer belong together; give both")
    return Signer(public_key, identity or "", issuer or "") if public_key or identity else None


def statement(digest: str) -> str:
    """What cosign signs of an image."""
    algorithm, _, value = digest.partition(":")
    said = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"digest": {algorithm: value}}],
        "predicateType": PREDICATE,
        "predicate": {},
    }
    return json.dumps(said)


def cosign(settings: Settings) -> dagger.File:
    """The program."""
    return dag.container().from_(settings.cosign).file(IN_IMAGE)


async def find_signer(settings: Settings, signing: Signing) -> Signer:
    """Whose signatures are those that are made.

    Raises:
        SigningError: the private key cannot be used.
    """
    if signing.key is None:
        return Signer(identity=signing.identity, issuer=signing.issuer)
    command = ["public-key", "--key", "/cosign.key", "--outfile", "cosign.pub"]
    return Signer(await _make(_with_secrets(settings, signing), command, "cosign.pub"))


async def sign(settings: Settings, signing: Signing, digest: str) -> dagger.File:
    """A file with the signature of an image.

    Raises:
        SigningError: it cannot be signed.
    """
    container = (
        _with_secrets(settings, signing)
        .with_mounted_file("/services.json", dag.file("services.json", NO_SERVICES))
        .with_mounted_file("/statement.json", dag.file("statement.json", statement(digest)))
    )
    # Without a key, services that cosign knows say who signed, and when.
    way = ["--identity-token", "/token"]
    if signing.key:
        way = ["--key", "/cosign.key", "--signing-config", "/services.json"]
    made = "signature.sigstore.json"
    command = ["attest-blob", "--yes", *way, "--statement", "/statement.json", "--bundle", made]
    return await _make(container, command, made)


def explain(said: str) -> str:
    """The message for an image that cosign did not sign, from what it printed."""
    reasons = [line.partition("Error: ")[2] for line in said.splitlines() if line.startswith("Error: ")]
    reason = next(reversed(reasons), "cosign did not say why")
    return (
        f"nothing was pushed, because it cannot be signed: {reason}; check --signing-key with --signing-password, or "
        "--identity-token"
    )


def _with_secrets(settings: Settings, signing: Signing) -> dagger.Container:
    """A container with cosign and what it signs with, and a folder for what it makes."""
    container = (
        dag.container()
        .from_(settings.fetch_base)
        .with_mounted_file(PROGRAM, cosign(settings))
        .with_directory("/made", dag.directory())
        .with_workdir("/made")
    )
    if signing.key:
        container = container.with_mounted_secret("/cosign.key", signing.key)
    if signing.password:
        container = container.with_secret_variable("COSIGN_PASSWORD", signing.password)
    else:
        # cosign would ask for one.
        container = container.with_env_variable("COSIGN_PASSWORD", "")
    return container.with_mounted_secret("/token", signing.token) if signing.token else container


async def _make(container: dagger.Container, command: list[str], made: str) -> dagger.File:
    """Run cosign, and take what it made."""
    try:
        return await container.with_exec([PROGRAM, *command]).file(f"/made/{made}").sync()
    except dagger.ExecError as error:
        raise SigningError(explain(error.stderr)) from error
