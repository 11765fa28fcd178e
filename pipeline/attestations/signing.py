"""Statements about images, signed by cosign: each becomes a Sigstore bundle, as cosign itself attaches it.

No two signatures have the same bytes: a statement with a valid signature by the same signer is attached once.
"""

import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import dagger
from dagger import dag

from pipeline.attestations.signer import PROGRAM, Signer, Signing
from pipeline.attestations.sigstore import SIGNING_CONFIG, require_usable
from pipeline.attestations.statements import SignedDocument
from pipeline.config.settings import SETTINGS, Settings
from pipeline.engine_errors import reason_of
from pipeline.errors import Code, PipelineError

#: Path of cosign in its own image.
IN_IMAGE: Final = "/ko-app/cosign"
#: Signing config for a key: no services. A transparency log would publish what is signed, and when.
NO_SERVICES: Final = (
    '{"mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json", "rekorTlogConfig": {}, "tsaConfig": {}}'
)
#: Folder of the statements in the container that signs them, and the ending of the bundles' names.
_STATEMENTS: Final = "/statements"
ENDING: Final = ".sigstore.json"
#: Passes the token to cosign in a variable: without its final newline, which breaks a request, and in no process list.
WITH_TOKEN: Final = ("sh", "-euc", 'SIGSTORE_ID_TOKEN=$(cat /token); export SIGSTORE_ID_TOKEN; exec "$@"', "sh")
#: Runs cosign for each statement.
EACH: Final = (
    "sh",
    "-euc",
    f'for file in {_STATEMENTS}/*.json; do "$@" --statement "$file" --bundle "$(basename "$file" .json){ENDING}"; done',
    "sh",
)
#: Explanations of cosign's errors, by words in them.
MEANINGS: Final = {
    "There was an error processing the identity token": "Fulcio does not take --identity-token, which may have expired "
    "meanwhile, be for another audience than sigstore, or be of an issuer that Fulcio does not trust",
    "http: read on closed response body": "a service of Sigstore answered several times that it is out of order",
}


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
    return Signer((await _make(_with_secrets(settings, signing), command)).file("cosign.pub"))


async def sign(
    settings: Settings, signing: Signing, signer: Signer, statements: Mapping[SignedDocument, dagger.File]
) -> dict[SignedDocument, dagger.File]:
    """Sign statements about an image, all in one step, and return the bundle of each.

    Raises:
        PipelineError: the image cannot be signed, or the signature is by another signer.
    """
    container = _with_secrets(settings, signing)
    for document, statement in statements.items():
        container = container.with_mounted_file(f"{_STATEMENTS}/{document.file_name}.json", statement)
    if signing.key:
        container = container.with_mounted_file(SIGNING_CONFIG, dag.file("services.json", NO_SERVICES))
        command = [*EACH, PROGRAM, "attest-blob", "--key", "/cosign.key", "--signing-config", SIGNING_CONFIG]
    else:
        container = _with_files(container, signing.sigstore.files)
        # Otherwise cosign would prompt for a token.
        no_prompt = ["--oidc-provider", "envvar", "--fulcio-auth-flow", "token"]
        command = [*WITH_TOKEN, *EACH, PROGRAM, "attest-blob", *no_prompt, *signing.sigstore.options]
    made = await _make(container, [*command, "--yes"])
    bundles = {document: made.file(f"{document.file_name}{ENDING}") for document in statements}
    await _require_valid(settings, signer, bundles)
    return bundles


async def _read(token: dagger.Secret) -> str:
    """Read the token now, because a command gives another one each time."""
    try:
        return await token.plaintext()
    except dagger.QueryError as error:
        raise PipelineError(
            Code.IDENTITY_TOKEN_INVALID,
            f"--identity-token cannot be read: {reason_of(error)}; give another file, variable or command",
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


async def _make(container: dagger.Container, command: list[str]) -> dagger.Directory:
    """Run cosign, and return the folder with its output."""
    try:
        return await container.with_exec(command).directory("/made").sync()
    except dagger.ExecError as error:
        raise PipelineError(Code.SIGNING_FAILED, explain(error.stderr)) from error


async def _require_valid(settings: Settings, signer: Signer, bundles: Mapping[SignedDocument, dagger.File]) -> None:
    """Reject a signature that does not verify: it would never count, and each publication would attach one more."""
    files = {f"/bundles/{document.file_name}": bundle for document, bundle in bundles.items()}
    container = _with_files(_with_cosign(settings), {**signer.files, **files})
    checks = [
        shlex.join([*signer.check(document.predicate_type, document.subject), path])
        for document, path in zip(bundles, files, strict=True)
    ]
    try:
        await container.with_exec(["sh", "-euc", "\n".join(checks)]).sync()
    except dagger.ExecError as error:
        raise PipelineError(
            Code.SIGNING_FAILED,
            f"nothing was pushed, because its signature does not verify for {signer}: {_reason(error.stderr)}; "
            f"correct --certificate-identity, --certificate-oidc-issuer or 'trusted_root' of {SETTINGS}",
        ) from error
