"""A Sigstore of one's own for a test: Fulcio, a log of its certificates, Rekor, and an authority for timestamps.

All four are the real programs, with new keys each time and nothing kept. They listen in the machine's network, so that
the engine's containers reach them. The issuer of tokens is a stand-in.
"""

import http.client
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.sandbox import processes, programs, proxies
from tests.sandbox.hosts import registry
from tests.sandbox.issuer import AUDIENCE, Issuer
from tests.sandbox.machine import Machine
from tests.sandbox.state import current

#: The registry on whose address they listen, at ports of their own. They know each other by that address: its name is
#: another one's outside of the machine, where the files are that they see.
HOST: Final = registry("registry-1.docker.io")
ISSUER, FULCIO, CT_LOG, REKOR, TIMESTAMPS = range(9490, 9495)
FULCIO_GRPC, FULCIO_METRICS, REKOR_GRPC, REKOR_METRICS = range(9495, 9499)
#: The authority's path for timestamps.
TIMESTAMP: Final = "/api/v1/timestamp"
#: Fulcio's rules for the tokens of GitHub's jobs: as the public one's.
GITHUB: Final = {
    "default-template-values": {"url": "https://github.com"},
    "subject-alternative-name-template": "{{ .url }}/{{ .job_workflow_ref }}",
    "extension-templates": {
        "github-workflow-trigger": "event_name",
        "github-workflow-sha": "sha",
        "github-workflow-name": "workflow",
        "github-workflow-repository": "repository",
        "github-workflow-ref": "ref",
        "build-signer-uri": "{{ .url }}/{{ .job_workflow_ref }}",
    },
}
#: From when on they are good: before the test.
SINCE: Final = "start-time=2020-01-01T00:00:00Z"


@dataclass(frozen=True)
class Sigstore:
    """A Sigstore that runs.

    Attributes:
        issuer: whose tokens Fulcio takes.
        signing_config: where to sign, a file of cosign's.
        trusted_root: what to believe, a file of cosign's.
    """

    issuer: Issuer
    signing_config: Path
    trusted_root: Path


@contextmanager
def standing(folder: Path) -> Iterator[Sigstore]:
    """Let one run.

    Args:
        folder: a new one, for its keys and logs.

    Raises:
        SandboxError: the machine is down, or a program cannot be made or does not start.
    """
    machine = Machine(current())
    issuer = Issuer(_url(ISSUER))
    issuer.write(folder / "issuer")
    for name in ("ct-log", "rekor"):
        _write_keys(folder, name)
    (folder / "fulcio.yaml").write_text(yaml.safe_dump(_fulcio_config(issuer)))
    with ExitStack() as stack:

        def start(name: str, port: int, command: list[str]) -> None:
            stack.enter_context(proxies.running(machine, HOST, command, port, name=name))

        # Before Fulcio, which asks for its keys.
        start("issuer", ISSUER, _issuer(folder))
        start("fulcio", FULCIO, _fulcio(folder))
        (folder / "fulcio.pem").write_bytes(_get(machine, FULCIO, "/api/v1/rootCert"))
        # After Fulcio, whose certificates it takes.
        start("ct-log", CT_LOG, _ct_log(folder))
        start("rekor", REKOR, _rekor(folder))
        start("timestamps", TIMESTAMPS, _timestamps())
        (folder / "timestamps.pem").write_bytes(_get(machine, TIMESTAMPS, f"{TIMESTAMP}/certchain"))
        yield Sigstore(issuer, _signing_config(folder), _trusted_root(folder))


def _issuer(folder: Path) -> list[str]:
    command = [sys.executable, "-m", "http.server", "--bind", HOST.address]
    return [*command, "--directory", str(folder / "issuer"), str(ISSUER)]


def _fulcio(folder: Path) -> list[str]:
    return [
        *(_program("fulcio"), "serve", "--ca=ephemeralca", f"--config-path={folder / 'fulcio.yaml'}"),
        *(f"--host={HOST.address}", f"--port={FULCIO}", "--grpc-host=127.0.0.1", f"--grpc-port={FULCIO_GRPC}"),
        # Not a file, but a name in the machine's network.
        *(f"--metrics-port={FULCIO_METRICS}", "--legacy-unix-domain-socket=@fulcio"),
        *(f"--ct-log-url={_url(CT_LOG)}", f"--ct-log-public-key-path={folder / 'ct-log.pub'}"),
    ]


def _fulcio_config(issuer: Issuer) -> dict[str, object]:
    known = {"issuer-url": issuer.url, "client-id": AUDIENCE, "type": "ci-provider", "ci-provider": "github-workflow"}
    return {"oidc-issuers": {issuer.url: known}, "ci-issuer-metadata": {"github-workflow": GITHUB}}


def _ct_log(folder: Path) -> list[str]:
    return [
        *(_program("tesseract"), f"--http_endpoint={HOST.address}:{CT_LOG}", f"--origin={HOST.address}"),
        *(f"--storage_dir={folder / 'ct-log'}", f"--private_key={folder / 'ct-log.key'}"),
        *(f"--roots_pem_file={folder / 'fulcio.pem'}", "--checkpoint_interval=100ms", "--batch_max_age=50ms"),
    ]


def _rekor(folder: Path) -> list[str]:
    return [
        *(_program("rekor"), "serve", f"--storage-dir={folder / 'rekor'}", f"--signer-filepath={folder / 'rekor.key'}"),
        *(f"--hostname={HOST.address}", f"--http-address={HOST.address}", f"--http-port={REKOR}"),
        *(f"--grpc-port={REKOR_GRPC}", f"--http-metrics-port={REKOR_METRICS}"),
        *("--checkpoint-interval=100ms", "--batch-max-age=50ms"),
    ]


def _timestamps() -> list[str]:
    return [
        *(_program("timestamp-server"), "serve", f"--host={HOST.address}", f"--port={TIMESTAMPS}", "--scheme=http"),
        *("--timestamp-signer=memory", "--disable-ntp-monitoring"),
    ]


def _signing_config(folder: Path) -> Path:
    """Let cosign make its configuration from the services' addresses."""

    def service(port: int, version: int, path: str = "") -> str:
        return f"url={_url(port)}{path},api-version={version},{SINCE},operator={HOST.name}"

    return _cosign(
        folder / "signing_config.json",
        *("signing-config", "create", f"--fulcio={service(FULCIO, 1)}", f"--oidc-provider={service(ISSUER, 1)}"),
        *(f"--rekor={service(REKOR, 2)}", "--rekor-config=ANY"),
        *(f"--tsa={service(TIMESTAMPS, 1, TIMESTAMP)}", "--tsa-config=ANY"),
    )


def _trusted_root(folder: Path) -> Path:
    """Let cosign make its trusted root from the services' keys and certificates."""
    return _cosign(
        folder / "trusted_root.json",
        *("trusted-root", "create", f"--fulcio=url={_url(FULCIO)},certificate-chain={folder / 'fulcio.pem'}"),
        f"--ctfe=url={_url(CT_LOG)},public-key={folder / 'ct-log.pub'},{SINCE}",
        f"--rekor=url={_url(REKOR)},public-key={folder / 'rekor.pub'},{SINCE},origin={HOST.address}",
        f"--tsa=url={_url(TIMESTAMPS)}{TIMESTAMP},certificate-chain={folder / 'timestamps.pem'}",
    )


def _cosign(made: Path, *arguments: str) -> Path:
    command = [_program("cosign"), *arguments, f"--out={made}"]
    subprocess.run(command, check=True, env=processes.ENVIRONMENT, stdin=subprocess.DEVNULL)
    return made


def _write_keys(folder: Path, name: str) -> None:
    """A new pair of keys of a log: ``<name>.key`` and ``<name>.pub``."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, plain)
    (folder / f"{name}.key").write_bytes(private)
    public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / f"{name}.pub").write_bytes(public)


def _get(machine: Machine, port: int, path: str) -> bytes:
    """The answer of a service in the machine's network."""
    connection = http.client.HTTPConnection(HOST.address, port)
    connection.sock = proxies.connect_inside(machine, HOST.address, port)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()


def _program(name: str) -> str:
    return str(programs.program(name, _say))


def _url(port: int) -> str:
    return f"http://{HOST.address}:{port}"


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
