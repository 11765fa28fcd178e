"""The sandbox's own certificate authority and what it signed, made once with the ``trustme`` library."""

import shutil
import ssl
from pathlib import Path

from tests.sandbox.hosts import HOSTS

#: Written last: without it the folder is half-made.
AUTHORITY = "authority.pem"


def ensure(folder: Path) -> Path:
    """Make the authority and a certificate for each host where they are missing or damaged, and return the authority's.

    Each host gets ``<name>.crt`` (with its chain) and ``<name>.key``, readable by the owner only.
    """
    authority = folder / AUTHORITY
    if _is_whole(folder):
        return authority
    import trustme  # noqa: PLC0415 -- slow, and needed once

    for file in (*folder.glob("*.crt"), *folder.glob("*.key")):
        file.unlink()
    made = trustme.CA(organization_name="Sandbox of the pipeline's tests")
    for host in HOSTS:
        issued = made.issue_cert(host.name)
        (folder / f"{host.name}.crt").write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        key = folder / f"{host.name}.key"
        key.touch(mode=0o600)
        key.write_bytes(issued.private_key_pem.bytes())
    half = folder / f"{AUTHORITY}.half"
    made.cert_pem.write_to_path(str(half))
    shutil.move(half, authority)
    return authority


def _is_whole(folder: Path) -> bool:
    """Whether all files are there and say what they should: a crash may have cut one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_verify_locations(folder / AUTHORITY)
        for host in HOSTS:
            context.load_cert_chain(folder / f"{host.name}.crt", folder / f"{host.name}.key")
    except OSError:  # an SSLError is one
        return False
    return True
