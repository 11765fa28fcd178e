"""Who logs in to indexes of PyPI packages: pixi's PyPI half, which is uv, is given the credentials of channels.

pixi looks at a host alone, and uv at its port, too: this holds for hosts that listen where HTTPS does.
"""

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


def header(url: str) -> dict[str, str]:
    """The header of a request that says who asks; nothing where nobody logs in."""
    for kind, secret in _known().get(urlsplit(url).hostname or "", {}).items():
        if kind == "BearerToken":
            return {"Authorization": f"Bearer {secret}"}
        if kind == "BasicHTTP":
            pair = base64.b64encode(f"{secret['username']}:{secret['password']}".encode()).decode()
            return {"Authorization": f"Basic {pair}"}
    return {}


def environment(folder: Path) -> dict[str, str]:
    """The variables by which uv logs in as pixi would let it.

    Args:
        folder: a temporary one, in memory.
    """
    tables = list(_tables())
    if not tables:
        return {}
    (folder / "credentials.toml").write_text("\n".join(tables))
    # What is known of a host goes before its entry of a netrc, which uv would take first.
    return {"UV_CREDENTIALS_DIR": str(folder), "NETRC": os.devnull}


def _tables() -> Iterator[str]:
    for host, entry in _known().items():
        for kind, secret in entry.items():
            lines = ["[[credential]]", f'service = "https://{host}/"']
            if kind == "BearerToken":
                yield "\n".join([*lines, 'scheme = "bearer"', f"token = {json.dumps(secret)}", ""])
            elif kind == "BasicHTTP":
                words = [f"{key} = {json.dumps(secret[key])}" for key in ("username", "password")]
                yield "\n".join([*lines, 'scheme = "basic"', *words, ""])


def _known() -> dict[str, dict[str, Any]]:
    """Credentials by host, each with its kind."""
    file = os.environ.get("RATTLER_AUTH_FILE")
    return json.loads(Path(file).read_text()) if file else {}
