"""Preparing a release, as a person types it: files change, and nothing is tagged."""

import tomllib
import uuid

import pytest
from dagger import dag
from dulwich import porcelain

from pipeline.git.upload_filter import HISTORY_LEFT_OUT
from tests.engine.conftest import Checkout, a_session, refused
from tests.unit.repository import Repository


@pytest.mark.asyncio
async def test_a_release_is_prepared_and_explained(checkout: Checkout) -> None:
    """The version and the changelog change on the disk, the next commands are printed, and git is left alone."""
    repository = Repository(checkout.path)
    repository.write("CHANGELOG.md", "# Changelog\n\n## Unreleased\n")
    repository.commit("Begin")
    repository.tag("v2026.2.0")
    repository.write("notes", f"{uuid.uuid4()}\n")
    sha = repository.commit("Take notes")
    ended = checkout.call("release", "--version", "v2026.03.0", "-y")
    assert ended.returncode == 0, ended.stderr
    assert tomllib.loads(checkout.read("pyproject.toml"))["project"]["version"] == "2026.3.0"
    assert checkout.read("CHANGELOG.md") == (
        "# Changelog\n\n## Unreleased\n\n## 2026.3.0 - 2026-02-03\n\n### Commits\n- Take notes\n"
    )
    assert "git push origin HEAD v2026.3.0" in ended.stderr
    status = porcelain.status(checkout.path)
    assert sorted(status.unstaged) == [b"CHANGELOG.md", b"pyproject.toml"]
    assert status.untracked == []
    assert porcelain.tag_list(checkout.path) == [b"v2026.2.0"]
    with porcelain.open_repo_closing(checkout.path) as opened:
        assert opened.head().decode() == sha
    async with a_session():
        source = dag.host().directory(str(checkout.path), exclude=[*HISTORY_LEFT_OUT])
        sentence = await refused(checkout, "release", checkout=source, version="2026.2.0")
    assert sentence.startswith("2026.2.0 was released before: ")
