"""Commands on a login node."""

from pathlib import Path

from tests.sandbox.clients import USER, Clients


def settings(user: int) -> list[str]:
    """The words of a command by a user, without those that lead into the node."""
    command = Clients(1, Path("home")).command("id", "--user", user=user, environment={"LANG": "C"})
    return command[command.index("--") + 1 :]


def test_the_ordinary_user_has_logged_in() -> None:
    """There is a name, a home and a folder for sockets, and no capability; a variable of the caller wins."""
    words = settings(USER)
    assert words[:3] == ["setpriv", "--reuid=1000", "--regid=1000"]
    assert {"USER=user", "HOME=/home/user", "XDG_RUNTIME_DIR=/run/user/1000", "LANG=C"} <= set(words)
    assert words[-2:] == ["id", "--user"]


def test_a_user_that_is_unknown_there_has_a_number_alone() -> None:
    """No name and no home; root keeps what it may do."""
    unknown = set(settings(4321))
    assert {"--reuid=4321", "HOME=/"} <= unknown
    assert not any(word.startswith(("USER=", "XDG_")) for word in unknown)
    assert "setpriv" not in settings(0)
