"""The commands of cosign, and the messages where signing fails."""

import json
import subprocess
from pathlib import Path

import pytest

from pipeline.attestations.signing import EACH, ENDING, NO_SERVICES, explain


def test_a_key_needs_no_service() -> None:
    """No transparency log hears of what is signed with it."""
    assert not any(value for key, value in json.loads(NO_SERVICES).items() if key != "mediaType")


def test_cosign_s_own_words_are_told() -> None:
    """Its warnings are not."""
    text = "WARNING: no TUF\nError: decrypt: wrong password\nerror during command execution: decrypt: wrong password\n"
    assert explain(text) == (
        "nothing was pushed, because it cannot be signed: decrypt: wrong password; "
        "check --signing-key with --signing-password, or --identity-token and the services of Sigstore"
    )
    assert "cosign gave no reason" in explain("")


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (
            'Fulcio returned 400: {"code":3,"message":"There was an error processing the identity token","details":[]}',
            "Fulcio does not take --identity-token, which may have expired",
        ),
        ("error signing bundle: http: read on closed response body", "a service of Sigstore answered several times"),
    ],
)
def test_what_only_cosign_understands_is_put_otherwise(error: str, meaning: str) -> None:
    """Services give no cause, and cosign does not repeat their answers."""
    assert f"it cannot be signed: {meaning}" in explain(f"Error: creating bundle: {error}\n")


def test_every_statement_is_signed_and_the_first_failure_ends_it(tmp_path: Path) -> None:
    """The bundle has the name of the statement; the program is another one here."""
    statements = tmp_path / "statements"
    statements.mkdir()
    for name in ("sbom", "signature"):
        (statements / f"{name}.json").write_text(name)
    shell, flags, script, *rest = (word.replace("/statements", str(statements)) for word in EACH)
    copy = 'test ! -e "$6" && cp "$4" "$6"'
    command = [shell, flags, script, *rest, "sh", "-c", copy, "sh", "attest-blob", "--yes"]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert {file.name: file.read_text() for file in tmp_path.glob(f"*{ENDING}")} == {
        f"sbom{ENDING}": "sbom",
        f"signature{ENDING}": "signature",
    }
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode != 0
