"""Names of private keys, in a module of its own: the engine starts the module with it, and with little else."""

from typing import Final

#: Names of files with private keys and passwords. They are never uploaded, so no image can have one.
KEYS: Final = (
    "*.key",
    "*.keytab",
    "*.p12",
    "*.pfx",
    "*-key.pem",
    ".netrc",
    "hostkey.pem",
    "id_dsa",
    "id_ecdsa",
    "id_ed25519",
    "id_rsa",
    "key.pem",
    "privkey.pem",
    "userkey.pem",
)
