"""Logins: this process passes them to rattler, and nothing prints them."""

import json
import tomllib
from pathlib import Path

from pipeline.credentials.logins import Logins

LOGINS = Logins(channels={"conda.example.org": ("me", "hidden"), "other.example.org": ("", "hidden-token")})


def test_rattler_reads_it_from_memory() -> None:
    """The configuration names a file that is on no disk."""
    configuration = tomllib.loads(f'tls-root-certs = "system"{LOGINS.rattler_config()}')
    file = Path(configuration["authentication-override-file"])
    assert file.is_relative_to("/proc/self/fd")
    assert json.loads(file.read_text())["other.example.org"] == {"BearerToken": "hidden-token"}


def test_nothing_is_configured_where_nobody_logs_in() -> None:
    """rattler's configuration stays what it is."""
    assert not Logins().rattler_config()


def test_it_is_not_repeated() -> None:
    """Neither in a message nor where Python shows it; the longer of two secrets goes whole."""
    assert LOGINS.hide("me:hidden asked, hidden-token too") == "me:*** asked, *** too"
    assert "hidden" not in repr(LOGINS)
