"""Where pixi keeps what it downloads, and what its configuration files say."""

import os
from pathlib import Path

import rattler


def cache_folder() -> Path:
    """The cache, which has a folder ``pkgs`` with unpacked packages."""
    for name in ("PIXI_CACHE_DIR", "RATTLER_CACHE_DIR"):
        if os.environ.get(name):
            return Path(os.environ[name])
    home = os.environ.get("XDG_CACHE_HOME") or f"{os.environ.get('HOME') or '/root'}/.cache"
    return Path(home) / "rattler" / "cache"


def configuration() -> rattler.Config:
    """What the configuration files of the machine and of the person say."""
    return rattler.Config.load_from_default_locations("pixi")


def client() -> rattler.Client:
    """A client with certificates, mirrors and credentials as they are configured."""
    return rattler.Client.from_config(configuration())
