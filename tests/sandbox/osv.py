"""A stand-in for OSV's service: it answers queries as api.osv.dev does, from records that a test has written.

Usage: python osv.py ADDRESS PORT RECORDS. RECORDS is a file with a JSON array of records in OSV's schema; they are
found by a package's ecosystem and name, and by the versions that they list.
"""

import http.server
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

PORT: Final = 9480
#: The registry on whose address it listens, at a port of its own.
HOST: Final = "registry-1.docker.io"
#: The address for queries.
ADDRESS: Final = f"http://{HOST}:{PORT}/v1/query"


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers POST /v1/query."""

    records: tuple[dict[str, Any], ...] = ()

    def do_POST(self) -> None:
        """The records of the package that is asked about; an empty object where there is none."""
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        found = [record for record in self.records if _affects(record, query["package"], query["version"])]
        body = json.dumps({"vulns": found} if found else {}).encode()
        self.send_response(200 if self.path == "/v1/query" else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _affects(record: dict[str, Any], package: dict[str, str], version: str) -> bool:
    return any(affected["package"] == package and version in affected["versions"] for affected in record["affected"])


@contextmanager
def standing_in(records: Path) -> Iterator[str]:
    """Let it answer in the machine's network, for the engine's containers; yields the address to query."""
    # Imported here: as a script this file stands alone.
    from filelock import FileLock  # noqa: PLC0415

    from tests.sandbox import proxies  # noqa: PLC0415
    from tests.sandbox.hosts import registry  # noqa: PLC0415
    from tests.sandbox.machine import Machine  # noqa: PLC0415
    from tests.sandbox.state import current  # noqa: PLC0415

    host = registry(HOST)
    command = [sys.executable, __file__, host.address, str(PORT), str(records)]
    # There is one address: a test of another process waits.
    with FileLock(current().folder / "osv.lock"), proxies.running(Machine(current()), host, command, PORT):
        yield ADDRESS


if __name__ == "__main__":
    address, port, file = sys.argv[1:]
    Handler.records = tuple(json.loads(Path(file).read_text()))
    http.server.ThreadingHTTPServer((address, int(port)), Handler).serve_forever()
