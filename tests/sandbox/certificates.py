"""The sandbox's own certificate authority and what it signed, made once with the ``trustme`` library."""

import shutil
from pathlib import Path

from tests.sandbox.hosts import HOSTS

#: Written last: without it the folder is half-made.
AUTHORITY = "authority.pem"


def ensure(folder: Path) -> Path:
    """Make the authority and a certificate for each host where they are missing, and return the authority's.

    Each host gets ``<name>.crt`` (with its chain) and ``<name>.key``, readable by the owner only.
    """
    authority = folder / AUTHORITY
    if authority.exists() and all((folder / f"{host.name}.key").exists() for host in HOSTS):
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
