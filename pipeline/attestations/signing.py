"""Signatures of images by cosign, in the form that cosign itself gives and looks for them: a bundle with a statement.

What is signed is the image's digest and nothing of where it is, so one signature is made and attached everywhere, like
all that is attached. No two signatures have the same bytes: an image that has one that fits gets no other.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import dagger
from dagger import dag

from pipeline.attestations.sigstore import SIGNING_CONFIG, TRUSTED_ROOT, Sigstore, require_usable
from pipeline.config.project_toml import Settings
from pipeline.errors import Code, PipelineError

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


#: The token reaches cosign without the end of its line, which no request may have, and is in no list of processes.
WITH_TOKEN: Final = ("sh", "-euc", 'SIGSTORE_ID_TOKEN=$(cat /token); export SIGSTORE_ID_TOKEN; exec "$@"', "sh")
#: What cosign says, and what it means.
MEANINGS: Final = {
    "There was an error processing the identity token": "Fulcio does not take --identity-token, which may have expired "
    "meanwhile, be for another audience than sigstore, or be of an issuer that Fulcio does not trust",
    "http: read on closed response body": "a service of Sigstore answered several times that it is out of order",
}


@dataclass(frozen=True)
class Signer:
    """Whose signatures count: who has the private key of a public one, or whom an issuer of tokens knows."""

    public_key: dagger.File | None = None
    identity: str = ""
    issuer: str = ""
    trusted_root: dagger.File | None = None
    """Of the Sigstore that the issuer is known to; the public one's where there is none."""

    @property
    def files(self) -> Mapping[str, dagger.File]:
        """What :meth:`check` needs, by its place in the container."""
        files = {PUBLIC_KEY: self.public_key, TRUSTED_ROOT: None if self.public_key else self.trusted_root}
        return {place: file for place, file in files.items() if file}

    def check(self, digest: str) -> list[str]:
        """The command that accepts a file with a signature of an image by the signer."""
        who = ["--certificate-identity", self.identity, "--certificate-oidc-issuer", self.issuer]
        if self.public_key:
            who = ["--key", PUBLIC_KEY, "--insecure-ignore-tlog"]
        elif self.trusted_root:
            who += ["--trusted-root", TRUSTED_ROOT]
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
    sigstore: Sigstore = field(default_factory=Sigstore)
    """What says who signed, where there is no key."""


def choose_signing(
    key: dagger.Secret | None,
    password: dagger.Secret | None,
    token: dagger.Secret | None,
    identity: str | None,
    issuer: str | None,
) -> Signing | None:
    """What to sign with, from what a person gave; None where that is nothing.

    Raises:
        PipelineError: it does not fit together.
    """
    if key and token:
        raise PipelineError(
            Code.OPTION_CONFLICT, "--signing-key and --identity-token are two ways to sign; leave one of them out"
        )
    if password and not key:
        raise PipelineError(
            Code.OPTION_CONFLICT, "--signing-password is that of no key; give --signing-key, or leave it out"
        )
    if token and not (identity and issuer):
        raise PipelineError(
            Code.OPTION_CONFLICT,
            "--identity-token needs --certificate-identity and --certificate-oidc-issuer, by which its signatures are "
            "known again; give both",
        )
    if (identity or issuer) and not token:
        raise PipelineError(
            Code.OPTION_CONFLICT,
            "--certificate-identity and --certificate-oidc-issuer sign nothing; give --identity-token",
        )
    return Signing(key, password, token, identity or "", issuer or "") if key or token else None


def choose_signer(public_key: dagger.File | None, identity: str | None, issuer: str | None) -> Signer | None:
    """Whose signatures to look for, from what a person gave; None where that is nothing.

    Raises:
        PipelineError: it does not fit together.
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


def check_tools(settings: Settings, signer: Signer | None) -> dict[str, dagger.File]:
    """Files that :meth:`Signer.check` needs, by their paths in the container; none where nobody signs."""
    return {PROGRAM: cosign(settings), **signer.files} if signer else {}


async def find_signer(settings: Settings, signing: Signing) -> Signer:
    """Whose signatures are those that are made.

    Raises:
        PipelineError: the private key or the token cannot be used.
    """
    if signing.token:
        require_usable(await _read(signing.token), datetime.now(UTC))
        return Signer(identity=signing.identity, issuer=signing.issuer, trusted_root=signing.sigstore.trusted_root)
    command = [PROGRAM, "public-key", "--key", "/cosign.key", "--outfile", "cosign.pub"]
    return Signer(await _make(_with_secrets(settings, signing), command, "cosign.pub"))


async def sign(settings: Settings, signing: Signing, signer: Signer, digest: str) -> dagger.File:
    """A file with the signature of an image, by which its signer is known.

    Raises:
        PipelineError: it cannot be signed, or would be by somebody else.
    """
    container = _with_secrets(settings, signing).with_mounted_file(
        "/statement.json", dag.file("statement.json", statement(digest))
    )
    if signing.key:
        container = container.with_mounted_file(SIGNING_CONFIG, dag.file("services.json", NO_SERVICES))
        way = [PROGRAM, "attest-blob", "--key", "/cosign.key", "--signing-config", SIGNING_CONFIG]
    else:
        container = _with_files(container, signing.sigstore.files)
        # cosign would ask a person who is not there for a token.
        only = ["--oidc-provider", "envvar", "--fulcio-auth-flow", "token"]
        way = [*WITH_TOKEN, PROGRAM, "attest-blob", *only, *signing.sigstore.options]
    made = "signature.sigstore.json"
    file = await _make(container, [*way, "--yes", "--statement", "/statement.json", "--bundle", made], made)
    await _require_known(settings, signer, digest, file)
    return file


async def _read(token: dagger.Secret) -> str:
    """What a token is now; a command gives another one each time."""
    try:
        return await token.plaintext()
    except dagger.QueryError as error:
        raise PipelineError(
            Code.IDENTITY_TOKEN_INVALID,
            f"--identity-token cannot be read: {error}; give another file, variable or command",
        ) from error


def explain(said: str) -> str:
    """The message for an image that cosign did not sign, from what it printed."""
    return (
        f"nothing was pushed, because it cannot be signed: {_reason(said)}; check --signing-key with "
        "--signing-password, or --identity-token and the services of Sigstore"
    )


def _reason(said: str) -> str:
    """Why cosign failed, from what it printed."""
    reasons = [line.partition("Error: ")[2] for line in said.splitlines() if line.startswith("Error: ")]
    reason = next(reversed(reasons), "cosign did not say why")
    return next((meaning for words, meaning in MEANINGS.items() if words in reason), reason)


def _with_secrets(settings: Settings, signing: Signing) -> dagger.Container:
    """A container with cosign and what it signs with, and a folder for what it makes."""
    container = _with_cosign(settings).with_directory("/made", dag.directory()).with_workdir("/made")
    if signing.key:
        container = container.with_mounted_secret("/cosign.key", signing.key)
    if signing.password:
        container = container.with_secret_variable("COSIGN_PASSWORD", signing.password)
    else:
        # cosign would ask for one.
        container = container.with_env_variable("COSIGN_PASSWORD", "")
    return container.with_mounted_secret("/token", signing.token) if signing.token else container


def _with_cosign(settings: Settings) -> dagger.Container:
    return dag.container().from_(settings.fetch_base).with_mounted_file(PROGRAM, cosign(settings))


def _with_files(container: dagger.Container, files: Mapping[str, dagger.File]) -> dagger.Container:
    for place, file in files.items():
        container = container.with_mounted_file(place, file)
    return container


async def _make(container: dagger.Container, command: list[str], made: str) -> dagger.File:
    """Run cosign, and take what it made."""
    try:
        return await container.with_exec(command).file(f"/made/{made}").sync()
    except dagger.ExecError as error:
        raise PipelineError(Code.SIGNING_FAILED, explain(error.stderr)) from error


async def _require_known(settings: Settings, signer: Signer, digest: str, file: dagger.File) -> None:
    """Refuse a signature that nobody would know again: each publication would attach one more."""
    container = _with_files(_with_cosign(settings), {**signer.files, "/signature": file})
    try:
        await container.with_exec([*signer.check(digest), "/signature"]).sync()
    except dagger.ExecError as error:
        raise PipelineError(
            Code.SIGNING_FAILED,
            f"nothing was pushed, because its signature is not known as one of {signer}: {_reason(error.stderr)}; "
            "correct --certificate-identity, --certificate-oidc-issuer or 'trusted_root' of [tool.pipeline]",
        ) from error
