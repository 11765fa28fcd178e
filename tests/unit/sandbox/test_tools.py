"""Tools that the host must have."""

from pathlib import Path

import pytest

from tests.sandbox import tools
from tests.sandbox.errors import SandboxError


def test_a_missing_compiler_is_named_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence says what is missing and what to do."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxError, match=r"go is not on PATH.*install Go"):
        tools.require_go()
    with pytest.raises(SandboxError, match=r"cargo is not on PATH.*install Rust"):
        tools.require_cargo()


def test_others_than_root_are_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is made or mounted."""
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(SandboxError, match="only root may"):
        tools.check_host()


def test_other_systems_are_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what can be done there nevertheless."""
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(SandboxError, match=r"this is darwin.*\./dev test tests/unit"):
        tools.check_host()


@pytest.mark.parametrize(
    ("output", "unreachable"),
    [
        ("go: module: dial tcp: lookup proxy.example: no such host", True),
        ("curl: (6) Could not resolve host: index.example", True),
        ("E: Failed to fetch: Temporary failure resolving 'archive.example'", True),
        ("main.go:3:1: syntax error", False),
    ],
)
def test_a_network_that_does_not_work_is_told_from_other_failures(*, output: str, unreachable: bool) -> None:
    """Compilers fail for many reasons; this one has a remedy of its own."""
    assert tools.is_unreachable(output) is unreachable


def test_a_failing_command_shows_its_log(tmp_path: Path) -> None:
    """The message names the log and ends with its last lines."""
    log = tmp_path / "tool.log"
    with pytest.raises(SandboxError, match=r"sh failed with exit code 3: see .*tool\.log\n    broken"):
        tools.run(["sh", "-c", "echo broken; exit 3"], log, "The registry")
    with pytest.raises(SandboxError, match="The registry cannot be reached"):
        tools.run(["sh", "-c", "echo 'dial tcp: no route' >&2; exit 1"], log, "The registry")


def test_a_machine_without_apt_is_told_what_it_lacks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """If the Debian packages cannot be installed, one sentence names those that are missing."""
    monkeypatch.setattr(tools, "PACKAGES", {"slirp4netns": str(tmp_path / "nowhere")})
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxError, match=r"^This machine has no slirp4netns and no apt-get to install it"):
        tools.install_packages(tmp_path / "log", lambda _: None)
