"""Signatures of images by cosign, in cosign's own form: a Sigstore bundle with an in-toto statement.

The statement has the image's digest and no repository, so one signature is made and attached everywhere. No two
signatures have the same bytes: an image with a valid signature by the same signer gets no other.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import dagger
from dagger import dag

from pipeline.attestations.sigstore import SIGNING_CONFIG, TRUSTED_ROOT, Sigstore, require_usable
from pipeline.config.settings import SETTINGS, Settings
from pipeline.errors import Code, PipelineError

#: Name of the attachment in reports.
NAME: Final = "signature"
BUNDLE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
PREDICATE: Final = "https://sigstore.dev/cosign/sign/v1"
#: Annotations that cosign itself gives, except the time of day.
ANNOTATIONS: Final = {
    "dev.sigstore.bundle.content": "dsse-envelope",
    "dev.sigstore.bundle.predicateType": PREDICATE,
}
#: Path of cosign in its own image, and in the containers of this module.
IN_IMAGE: Final = "/ko-app/cosign"
PROGRAM: Final = "/usr/local/bin/cosign"
#: Path of the public key in containers that verify signatures.
PUBLIC_KEY: Final = "/cosign.pub"
#: Signing config for a key: no services. A transparency log would publish what is signed, and when.
NO_SERVICES: Final = (
    '{"mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json", "rekorTlogConfig": {}, "tsaConfig": {}}'
)


#: Passes the token to cosign in a variable: without its final newline, which breaks a request, and in no process list.
WITH_TOKEN: Final = ("sh", "-euc", 'SIGSTORE_ID_TOKEN=$(cat /token); export SIGSTORE_ID_TOKEN; exec "$@"', "sh")
#: Explanations of cosign's errors, by words in them.
MEANINGS: Final = {
    "There was an error processing the identity token": "Fulcio does not take --identity-token, which may have expired "
    "meanwhile, be for another audience than sigstore, or be of an issuer that Fulcio does not trust",
    "http: read on closed response body": "a service of Sigstore answered several times that it is out of order",
}


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

    def check(self, digest: str) -> list[str]:
        """Return the command that accepts a file with a signature of an image by the signer."""
        signer = ["--certificate-identity", self.identity, "--certificate-oidc-issuer", self.issuer]
        if self.public_key:
            signer = ["--key", PUBLIC_KEY, "--insecure-ignore-tlog"]
        elif self.trusted_root:
            signer += ["--trusted-root", TRUSTED_ROOT]
        digest = digest.removeprefix("sha256:")
        subject = ["--type", PREDICATE, "--digestAlg", "sha256", "--digest", digest]
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


def statement(digest: str) -> str:
    """Return the statement about an image that cosign signs."""
    algorithm, _, value = digest.partition(":")
    content = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"digest": {algorithm: value}}],
        "predicateType": PREDICATE,
        "predicate": {},
    }
    return json.dumps(content)


def cosign(settings: Settings) -> dagger.File:
    """Return the program cosign."""
    return dag.container().from_(settings.cosign).file(IN_IMAGE)


def check_tools(settings: Settings, signer: Signer | None) -> dict[str, dagger.File]:
    """Return the files that :meth:`Signer.check` needs, by their paths in the container; none without a signer."""
    return {PROGRAM: cosign(settings), **signer.files} if signer else {}


async def find_signer(settings: Settings, signing: Signing) -> Signer:
    """Return the signer of the signatures that will be made.

    Raises:
        PipelineError: the private key or the token cannot be used.
    """
    if signing.token:
        require_usable(await _read(signing.token), datetime.now(UTC))
        return Signer(identity=signing.identity, issuer=signing.issuer, trusted_root=signing.sigstore.trusted_root)
    command = [PROGRAM, "public-key", "--key", "/cosign.key", "--outfile", "cosign.pub"]
    return Signer(await _make(_with_secrets(settings, signing), command, "cosign.pub"))


async def sign(settings: Settings, signing: Signing, signer: Signer, digest: str) -> dagger.File:
    """Sign an image, and return the file with its signature.

    Raises:
        PipelineError: the image cannot be signed, or the signature is by another signer.
    """
    container = _with_secrets(settings, signing).with_mounted_file(
        "/statement.json", dag.file("statement.json", statement(digest))
    )
    if signing.key:
        container = container.with_mounted_file(SIGNING_CONFIG, dag.file("services.json", NO_SERVICES))
        command = [PROGRAM, "attest-blob", "--key", "/cosign.key", "--signing-config", SIGNING_CONFIG]
    else:
        container = _with_files(container, signing.sigstore.files)
        # Otherwise cosign would prompt for a token.
        no_prompt = ["--oidc-provider", "envvar", "--fulcio-auth-flow", "token"]
        command = [*WITH_TOKEN, PROGRAM, "attest-blob", *no_prompt, *signing.sigstore.options]
    output = "signature.sigstore.json"
    file = await _make(container, [*command, "--yes", "--statement", "/statement.json", "--bundle", output], output)
    await _require_valid(settings, signer, digest, file)
    return file


async def _read(token: dagger.Secret) -> str:
    """Read the token now, because a command gives another one each time."""
    try:
        return await token.plaintext()
    except dagger.QueryError as error:
        raise PipelineError(
            Code.IDENTITY_TOKEN_INVALID,
            f"--identity-token cannot be read: {error}; give another file, variable or command",
        ) from error


def explain(output: str) -> str:
    """Return the message for an image that cosign did not sign, from cosign's output."""
    return (
        f"nothing was pushed, because it cannot be signed: {_reason(output)}; check --signing-key with "
        "--signing-password, or --identity-token and the services of Sigstore"
    )


def _reason(output: str) -> str:
    """Return the reason of cosign's failure, from its output."""
    reasons = [line.partition("Error: ")[2] for line in output.splitlines() if line.startswith("Error: ")]
    reason = next(reversed(reasons), "cosign gave no reason")
    return next((meaning for words, meaning in MEANINGS.items() if words in reason), reason)


def _with_secrets(settings: Settings, signing: Signing) -> dagger.Container:
    """Return a container with cosign, its secrets, and a folder for its output."""
    container = _with_cosign(settings).with_directory("/made", dag.directory()).with_workdir("/made")
    if signing.key:
        container = container.with_mounted_secret("/cosign.key", signing.key)
    if signing.password:
        container = container.with_secret_variable("COSIGN_PASSWORD", signing.password)
    else:
        # Otherwise cosign would prompt for one.
        container = container.with_env_variable("COSIGN_PASSWORD", "")
    return container.with_mounted_secret("/token", signing.token) if signing.token else container


def _with_cosign(settings: Settings) -> dagger.Container:
    return dag.container().from_(settings.fetch_base).with_mounted_file(PROGRAM, cosign(settings))


def _with_files(container: dagger.Container, files: Mapping[str, dagger.File]) -> dagger.Container:
    for path, file in files.items():
        container = container.with_mounted_file(path, file)
    return container


async def _make(container: dagger.Container, command: list[str], output: str) -> dagger.File:
    """Run cosign, and return its output file."""
    try:
        return await container.with_exec(command).file(f"/made/{output}").sync()
    except dagger.ExecError as error:
        raise PipelineError(Code.SIGNING_FAILED, explain(error.stderr)) from error


async def _require_valid(settings: Settings, signer: Signer, digest: str, file: dagger.File) -> None:
    """Reject a signature that does not verify: it would never count, and each publication would attach one more."""
    container = _with_files(_with_cosign(settings), {**signer.files, "/signature": file})
    try:
        await container.with_exec([*signer.check(digest), "/signature"]).sync()
    except dagger.ExecError as error:
        raise PipelineError(
            Code.SIGNING_FAILED,
            f"nothing was pushed, because its signature does not verify for {signer}: {_reason(error.stderr)}; "
            f"correct --certificate-identity, --certificate-oidc-issuer or 'trusted_root' of {SETTINGS}",
        ) from error
