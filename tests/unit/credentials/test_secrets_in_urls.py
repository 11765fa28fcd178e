"""Passwords and tokens in addresses of manifests and locks."""

from pathlib import Path

import pytest
from dagger import dag

from pipeline.checkout import Checkout
from pipeline.commands.lock import relock
from pipeline.config.image_toml import ImageSpec
from pipeline.config.settings import Settings
from pipeline.credentials.secrets_in_urls import find_secrets, reject_secrets
from pipeline.errors import Code
from pipeline.locks.image_lock import LockFiles, check_lock
from tests.unit.refusals import refused

SPEC = ImageSpec(description="x")


@pytest.mark.parametrize(
    ("line", "host", "found"),
    [
        ('channels = ["https://me:hidden@conda.example.org/mine"]', "conda.example.org", "password"),
        ('channels = ["https://conda.example.org/t/hidden/mine"]', "conda.example.org", "token"),
        ('channels = ["conda-forge", "https://Conda.example.org:8443/t/hidden"]', "conda.example.org", "token"),
        ("  - url: https://me:hidden@conda.example.org/mine/", "conda.example.org", "password"),
        ("- conda: https://conda.anaconda.org/t/hidden/mine/noarch/a-1-h_0.conda", "conda.anaconda.org", "token"),
        ('index-url = "https://__token__:hidden@pypi.example.org/simple"', "pypi.example.org", "password"),
        ('a = { git = "https://ghp_0123456789abcdefghij@github.com/lab/a" }', "github.com", "token"),
        ('a = { git = "git+https://me:hidden@gitlab.example.org/lab/a.git" }', "gitlab.example.org", "password"),
    ],
)
def test_secrets_are_found(line: str, host: str, found: str) -> None:
    """Each way in which people write them, with the line."""
    assert list(find_secrets(f"[project]\n{line}\n")) == [(2, host, found)]


@pytest.mark.parametrize(
    "line",
    [
        'channels = ["https://conda.example.org/mine", "conda-forge"]',
        '# channels = ["https://USER:PASSWORD@conda.example.org/mine"]',
        'a = { git = "ssh://git@github.com/lab/a" }',
        'a = { git = "git@github.com:lab/a" }',
        'index-url = "https://oauth2accesstoken@example.org/simple"',
        "- pypi: https://files.example.org/packages/source/t/tqdm/tqdm-4.0.tar.gz",
        "- conda: https://conda.anaconda.org/conda-forge/noarch/tqdm-4.66.1-pyhd8ed1ab_0.conda#sha256:0",
        'homepage = "https://example.org/@somebody", mail = "me:you@example.org"',
    ],
)
def test_other_addresses_are_left_alone(line: str) -> None:
    """A name alone, the folder `t` of an index, and a comment hide nothing."""
    assert list(find_secrets(line)) == []


def test_a_secret_in_the_manifest_is_refused(tmp_path: Path) -> None:
    """The message has its file and line, and the remedy, but not the secret."""
    (tmp_path / "pixi.toml").write_text('[project]\nchannels = ["https://conda.example.org/t/hidden/mine"]\n')
    facts = [f"{tmp_path.name}/pixi.toml:2", "token", "'with-channel-auth --host conda.example.org …'"]
    with refused(Code.SECRET_IN_URL, *facts) as raised:
        reject_secrets(tmp_path)
    assert "hidden" not in raised.value.message


def test_a_secret_in_the_lock_is_refused(tmp_path: Path) -> None:
    """The message has its line, and the command that locks again."""
    (tmp_path / "pixi.toml").write_text("[project]\n")
    (tmp_path / "pixi.lock").write_text("version: 6\n- conda: https://me:hidden@conda.example.org/a.conda\n")
    facts = [f"{tmp_path.name}/pixi.lock:2", "password", f"'dagger call lock --image {tmp_path.name}'"]
    with refused(Code.SECRET_IN_URL, *facts) as raised:
        reject_secrets(tmp_path)
    assert "hidden" not in raised.value.message


def test_a_long_line_is_read_once() -> None:
    """Were each letter a beginning of an address, fifty megabytes would take days."""
    assert list(find_secrets("x" * 50_000_000)) == []
    assert list(find_secrets("x" * 5_000_000 + " https://me:pw@host/a")) == [(1, "host", "password")]


def test_a_folder_without_secrets_is_accepted(tmp_path: Path) -> None:
    """Also one that has neither file: other checks report that."""
    reject_secrets(tmp_path)


@pytest.mark.asyncio
@pytest.mark.parametrize("check", [True, False])
async def test_secrets_are_refused_before_anything_else(tmp_path: Path, *, check: bool) -> None:
    """Whatever else is wrong with manifest and lock: a build and a lock report this first."""
    facts = [f"{tmp_path.name}/pixi.toml:1", "token", "conda.example.org"]
    (tmp_path / "pixi.toml").write_text('channels = ["https://conda.example.org/t/hidden/mine"]\n[')
    with refused(Code.SECRET_IN_URL, *facts):
        check_lock(LockFiles(tmp_path), SPEC)
    (tmp_path / "image.toml").write_text("description = 'x'\n")
    with refused(Code.SECRET_IN_URL, *facts):
        await relock(Checkout(dag.directory(), tmp_path.parent, Settings()), tmp_path.name, [], check=check)
