"""A stand-in for an issuer of OpenID Connect tokens: GitHub's, as far as Sigstore looks at it.

All that others ask of an issuer are two files, so any web server is one. Who has its private key makes the tokens: here
the test itself, which can so make ones that have expired, or that nobody should trust.
"""

import http.server
import json
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Final

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

#: The audience of Sigstore's tokens.
AUDIENCE: Final = "sigstore"
WORKFLOW: Final = "maniaclab/images/.github/workflows/images.yml@refs/tags/v2026.2.0"
#: The identity in a certificate that was given for such a token.
IDENTITY: Final = f"https://github.com/{WORKFLOW}"
#: GitHub's claims about a job.
JOB: Final = {
    "sub": "repo:maniaclab/images:environment:registries",
    "repository": "maniaclab/images",
    "ref": "refs/tags/v2026.2.0",
    "sha": "0123456789abcdef0123456789abcdef01234567",
    "event_name": "push",
    "workflow": "Images",
    "job_workflow_ref": WORKFLOW,
}


@dataclass(frozen=True)
class Issuer:
    """An issuer by its address, and the key that it signs with."""

    url: str
    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048), repr=False)

    def write(self, folder: Path) -> None:
        """Write what a web server has to give out for it."""
        known = folder / ".well-known"
        known.mkdir(parents=True)
        metadata = {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/jwks",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }
        (known / "openid-configuration").write_text(json.dumps(metadata))
        key = RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        (folder / "jwks").write_text(json.dumps({"keys": [{**key, "kid": "1", "alg": "RS256", "use": "sig"}]}))

    def token(self, *, seconds: float = 600, **claims: str | float) -> str:
        """A token for a job.

        Args:
            seconds: how long it is good from now on; it has expired where that is negative.
            claims: other ones than those of :data:`JOB`.
        """
        now = time.time()
        times = {"iat": int(now) - 3600, "nbf": int(now) - 3600, "exp": int(now + seconds)}
        content = {"iss": self.url, "aud": AUDIENCE, **times, **JOB, **claims}
        return jwt.encode(content, self.key, algorithm="RS256", headers={"kid": "1"})


@dataclass(frozen=True)
class Runner:
    """The source of tokens for a job of GitHub's.

    Attributes:
        environment: the variables that say where, and with which right.
        tokens: all that it has given out.
    """

    environment: dict[str, str]
    tokens: list[str] = field(default_factory=list)


@contextmanager
def runner(issuer: Issuer, right: str, seconds: float) -> Iterator[Runner]:
    """Answer this machine's requests for tokens, as GitHub does for a job with the permission ``id-token: write``.

    Args:
        issuer: whose tokens they are.
        right: what a request has to show.
        seconds: how long each is good for.
    """
    tokens: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
            if self.headers["Authorization"] != f"bearer {right}":
                self.send_error(HTTPStatus.UNAUTHORIZED)
                return
            tokens.append(issuer.token(seconds=seconds, aud=asked["audience"][0]))
            self.send_response(HTTPStatus.OK)
            self.end_headers()
            self.wfile.write(json.dumps({"value": tokens[-1]}).encode())

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/token?api-version=2.0"
        names = {"ACTIONS_ID_TOKEN_REQUEST_URL": url, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": right}
        try:
            yield Runner(names, tokens)
        finally:
            server.shutdown()
            thread.join()
